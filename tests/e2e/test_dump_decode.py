"""memif dump's lines beside those of tcpdump, for packets of many protocols."""

import re
import subprocess
import unittest

from packets import PACKETS
from support import MEMIF, E2ETest
from test_replay import write_pcap

# What memif dump says beyond tcpdump's first line: inner packets of errors and tunnels, tags, what fragments are of.
MORE = {
    "vlan": ("IP ", "vlan 10, IP "),
    "qinq": ("IP ", "vlan 100, vlan 10, IP "),
    "gtp-u": ("UDP, length 58", "GTP-U, teid 0x1234: IP 10.0.0.1.1025 > 10.0.0.2.9: UDP, length 22"),
    "fragment-first": ("length 40", "length 40, frag (id 77, 0|32, more)"),
    "fragment-last": ("ip-proto-17", "ip-proto-17, frag (id 77, 32|16)"),
    "fragment6-first": ("(0|32)", "(0|32, more)"),
    "routing6": (" [Deprecated], segleft=1, [0]fd00::9)", ", segleft=1)"),
    "dhcp": ("length 244", "length 244, DHCP Discover"),
    "protocol": (":  ip-proto", ": ip-proto"),
}
QUOTED = ", of IP 10.0.0.1.5000 > 10.0.0.2.53000: UDP, length 20"
QUOTED6 = ", of IP6 fd00::2.1025 > fd00::1.53000: UDP, length 8"
OTHER = {
    "vxlan": "IP 10.0.0.1.1025 > 10.0.0.2.4789: VXLAN, flags [I] (0x08), vni 100: IP 10.0.0.1.1025 > 10.0.0.2.9: UDP, length 22",
    "ethertype": "ethertype 0x88b5, length 50",
}


def expected(name, line):
    if name in OTHER:
        return OTHER[name]
    if name.startswith(("unreachable", "time-exceeded", "redirect", "too-big")):
        return line + (QUOTED6 if "6" in name else QUOTED)
    old, new = MORE.get(name, ("", ""))
    assert old in line, (name, line)
    return line.replace(old, new, 1)


class DumpDecode(E2ETest):
    def lines(self, path, *arguments):
        dump = self.start(MEMIF, "dump", "-r", path, *arguments)
        self.assert_exit(dump, 0)
        return [re.sub(r"^[\d:.]+ ", "", line) for line in dump.stdout.splitlines()]

    def tcpdump(self, path):
        command = ["tcpdump", "-nSt", "-r", str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip("\n")

    def test_lines_are_tcpdumps_and_more(self):
        for name, frame in PACKETS:
            with self.subTest(name):
                path = write_pcap(self.dir / "one.pcap", [frame])
                self.assertEqual(self.lines(path), [expected(name, self.tcpdump(path).rstrip())])

    def test_the_link_header_is_shown_on_demand(self):
        path = write_pcap(self.dir / "one.pcap", [PACKETS[0][1]])
        head = "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype IPv4 (0x0800), length 64: "
        self.assertEqual(self.lines(path, "-e"), [head + self.tcpdump(path)])

    def test_a_packet_that_was_cut_is_truncated_and_its_headers_stand(self):
        path = write_pcap(self.dir / "all.pcap", [frame for _, frame in PACKETS])
        whole = self.lines(path)
        for kept in (1, 14, 20, 34, 40, 54, 62):
            for (name, frame), full, cut in zip(PACKETS, whole, self.lines(path, "-s", kept)):
                with self.subTest(name=name, kept=kept):
                    self.assertNotIn("malformed", cut)
                    self.assertNotIn("too short", cut)
                    if cut.endswith("truncated"):
                        self.assertLess(kept, len(frame))
                    if kept == 62 and "> " in full:
                        self.assertEqual(cut.split(" ")[:3], full.split(" ")[:3])


if __name__ == "__main__":
    unittest.main()
