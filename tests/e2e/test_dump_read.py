"""memif dump -r: captures of other programs, read, filtered and written again."""

import unittest

from support import MEMIF, E2ETest
from test_replay import fields, udp_frame, write_pcap


class DumpReadTest(E2ETest):
    def setUp(self):
        super().setUp()
        self.source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(10)], gap_ns=1_234_567)

    def dump(self, *arguments):
        return self.start(MEMIF, "dump", "-r", *arguments)

    def test_a_line_for_each_packet(self):
        dump = self.dump(self.source)
        self.assert_exit(dump, 0)
        lines = dump.stdout.splitlines()
        self.assertEqual(len(lines), 10, str(dump))
        self.assertIn("10.0.0.1:1027 > 10.0.0.2:9 UDP", lines[3])

    def test_what_is_written_again_is_the_same_to_tshark(self):
        copy = self.dir / "out.pcapng"
        self.assert_exit(self.dump(self.source, "-w", copy, "-c", "4"), 0)
        names = ("frame.time_epoch", "frame.len", "udp.srcport")
        self.assertEqual(fields(copy, *names), fields(self.source, *names)[:4])

    def test_filter(self):
        dump = self.dump(self.source, "udp src port 1030")
        self.assert_exit(dump, 0)
        self.assertEqual(len(dump.stdout.splitlines()), 1, str(dump))

    def test_a_file_is_not_written_over_itself(self):
        before = self.source.read_bytes()
        self.assert_exit(self.dump(self.source, "-w", self.source), 2)
        self.assertEqual(self.source.read_bytes(), before)

    def test_truncated_file(self):
        self.source.write_bytes(self.source.read_bytes()[:-1])
        dump = self.dump(self.source)
        self.assert_exit(dump, 1)
        self.assertIn("beyond packet 9", dump.stderr)


if __name__ == "__main__":
    unittest.main()
