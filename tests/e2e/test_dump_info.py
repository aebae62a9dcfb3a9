"""memif dump and memif info."""

import subprocess
import unittest

from support import MEMIF, E2ETest


def frames(capture):
    """The frames of a capture file, a line each, as tcpdump reads them."""
    result = subprocess.run(["tcpdump", "-nr", str(capture)], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


class DumpTest(E2ETest):
    def dump_of_a_ping(self, *arguments):
        """The ends of a dump as server and of a ping that nobody answers, which keeps asking who has the address."""
        capture = self.dir / "out.pcapng"
        dump = self.listening(self.memif("dump", "-w", capture, *arguments, role="server"))
        self.memif("ping", "--source", "192.168.7.1/24", "--wait", "10s", "-i", "0.05", "192.168.7.2")
        return dump, capture

    def test_capture_is_read_by_tcpdump(self):
        dump, capture = self.dump_of_a_ping("-c", "1")
        self.assert_exit(dump, 0)
        lines = frames(capture)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("who-has 192.168.7.2 tell 192.168.7.1", lines[0])

    def test_filter(self):
        dump, capture = self.dump_of_a_ping("-c", "1", "arp and arp[6:2] = 1")
        self.assert_exit(dump, 0)
        self.assertEqual(len(frames(capture)), 1)

    def test_wrong_filter_is_wrong_usage(self):
        self.assert_exit(self.memif("dump", "-c", "1", "not a filter", role="server"), 2)


class InfoTest(E2ETest):
    def test_json_of_a_listener(self):
        self.respond("192.168.7.2/24", role="server")
        self.report(self.start_info("--json"))

    def test_text_of_a_listener(self):
        self.respond("192.168.7.2/24", role="server")
        info = self.start_info()
        self.assert_exit(info, 0)
        self.assertTrue(info.stdout.strip())

    def test_nobody_listens(self):
        self.assert_no_peer(self.start_info(), str(self.socket).lower())

    def start_info(self, *arguments):
        return self.start(MEMIF, "info", "--socket", self.socket, *arguments)


if __name__ == "__main__":
    unittest.main()
