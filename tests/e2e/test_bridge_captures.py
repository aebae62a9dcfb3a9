"""memif bridge between capture files: they are whole, or it says why not; and none is lost by mistake."""

import unittest

from support import MEMIF, E2ETest, run_on_full_disk
from test_replay import fields, udp_frame, write_pcap


class BridgeOfCaptures(E2ETest):
    def setUp(self):
        super().setUp()
        self.source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(10)])

    def test_bridge_fails_if_its_capture_is_not_whole(self):
        copy = self.dir / "out.pcap"
        words = (f"pcap:in={self.source},pace=top", f"pcap:out={copy}", "--time", "100ms")
        bridge = run_on_full_disk(500, "bridge", *words)
        self.assertEqual(bridge.returncode, 1, bridge)
        self.assertIn(f"cannot write to {copy}: File too large", bridge.stderr)

    def test_a_capture_that_is_read_is_not_overwritten(self):
        before = self.source.read_bytes()
        link = self.dir / "link.pcap"
        link.symlink_to(self.source)
        other = self.dir / "other.pcap"
        for words in (
            (f"pcap:in={self.source}", f"pcap:out={link}"),
            (f"pcap:in={self.source},out={link}", f"pcap:out={other}"),
        ):
            with self.subTest(words):
                bridge = self.start(MEMIF, "bridge", *words, "--time", "100ms")
                self.assert_exit(bridge, 2)
                self.assertIn("would overwrite", bridge.stderr)
                self.assertEqual(self.source.read_bytes(), before)

    def test_a_capture_does_not_go_where_the_report_goes(self):
        bridge = self.start(MEMIF, "bridge", f"pcap:in={self.source}", "pcap:out=-", "--time", "100ms")
        self.assert_exit(bridge, 2)
        self.assertIn("out=-", bridge.stderr)
        self.assertEqual(bridge.stdout, "")

    def test_the_longest_frames_pass(self):
        frames = [udp_frame(0, 65535 + 14), udp_frame(1, 65535 + 14) + bytes(8)]  # as long as with two tags
        source = write_pcap(self.dir / "long.pcap", frames)
        dump = self.memif("dump", "-w", self.dir / "got.pcapng", "-c", "2", "--wait", "10s", "--json")
        bridge = self.start(MEMIF, "bridge", f"memif:{self.socket},role=server", f"pcap:in={source},pace=top", "--json")
        report = self.report(dump)
        self.assertEqual((report["captured"], report["dropped"]), (2, 0))
        lengths = [(str(len(frame)),) * 2 for frame in frames]
        self.assertEqual(fields(self.dir / "got.pcapng", "frame.len", "frame.cap_len"), lengths)
        bridge.terminate()

    def test_two_ports_do_not_write_one_file(self):
        out = f"pcap:out={self.dir / 'out.pcap'}"
        self.assert_exit(self.start(MEMIF, "bridge", out, out, "--time", "100ms"), 2)


if __name__ == "__main__":
    unittest.main()
