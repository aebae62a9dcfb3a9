"""memif dump -r: captures of other programs, read, filtered and written again."""

import json
import os
import subprocess
import unittest
from pathlib import Path

from support import MEMIF, E2ETest, wait_until
from test_replay import fields, udp_frame, write_pcap


def asleep_in_read(process):
    """Whether it waits for data of a pipe, and handles SIGTERM by then."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    handled = int(status.split("SigCgt:")[1].split()[0], 16) >> 14 & 1
    return handled and "State:\tS" in status


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
        self.assertIn("IP 10.0.0.1.1027 > 10.0.0.2.9: UDP, length 22", lines[3])

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

    def test_truncated_file_is_read_up_to_there(self):
        self.source.write_bytes(self.source.read_bytes()[:-1])
        copy = self.dir / "out.pcapng"
        dump = self.dump(self.source, "-w", copy)
        self.assert_exit(dump, 1)
        self.assertIn("beyond packet 9", dump.stderr)
        self.assertEqual(fields(copy, "udp.srcport"), [(str(1024 + i),) for i in range(9)])

    def test_a_signal_ends_the_wait_for_a_pipe(self):
        pipe, copy = self.dir / "pipe", self.dir / "out.pcapng"
        os.mkfifo(pipe)
        dump = self.dump(pipe, "--json", "-w", copy)
        with open(pipe, "wb") as writer:
            writer.write(self.source.read_bytes())
            writer.flush()
            wait_until(lambda: asleep_in_read(dump), "a dump that wants more")
            self.assertEqual(dump.terminate(), 0, str(dump))
        self.assertEqual(json.loads(dump.stdout)["ended_by"], "signal")
        self.assertEqual(len(fields(copy, "udp.srcport")), 10)

    def test_several_interfaces(self):
        other = write_pcap(self.dir / "other.pcap", [udp_frame(i) for i in range(100, 105)], gap_ns=1_500_000)
        both = self.dir / "both.pcapng"
        subprocess.run(["mergecap", "-I", "none", "-w", str(both), str(self.source), str(other)], check=True)
        copy = self.dir / "out.pcapng"
        self.assert_exit(self.dump(both, "-w", copy), 0)
        names = ("frame.time_epoch", "udp.srcport")
        self.assertEqual(fields(copy, *names), fields(both, *names))

    def test_json(self):
        dump = self.dump(self.source, "--json", "-c", "3")
        self.assert_exit(dump, 0)
        lines = [json.loads(line) for line in dump.stdout.splitlines()]
        self.assertEqual(lines[2]["time_unix_ns"], 1_700_000_000_000_000_000 + 2 * 1_234_567)
        self.assertEqual((lines[3]["captured"], lines[3]["ended_by"]), (3, "packets"))
        self.assertEqual(self.dump(self.source, "--json").wait(), 0)

    def test_another_link_type(self):
        write_pcap(self.source, [udp_frame(0)], link_type=105)  # IEEE 802.11
        dump = self.dump(self.source)
        self.assert_exit(dump, 2)
        self.assertIn("IEEE802_11", dump.stderr)

    def test_ip_packets(self):
        write_pcap(self.source, [udp_frame(i)[14:] for i in range(3)], link_type=228)  # LINKTYPE_IPV4
        dump = self.dump(self.source, "udp src port 1025")
        self.assert_exit(dump, 0)
        self.assertIn("IP 10.0.0.1.1025 > 10.0.0.2.9: UDP", dump.stdout)


if __name__ == "__main__":
    unittest.main()
