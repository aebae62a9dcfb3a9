"""memif dump --pid on links whose other end is testpmd."""

import re
import signal
import unittest

from support import wait_until
from test_dump_tap import INBOUND, OUTBOUND, TapCase, frames
from test_replay import udp_frame, write_pcap


class TestpmdTap(TapCase):
    def stopped(self, tap):
        tap.popen.send_signal(signal.SIGTERM)
        return self.report(tap)

    def test_testpmd_is_the_client(self):
        """Its flows, and what a responder reflects of them."""
        tap = self.tap(self.respond("--reflect", role="server"), "-w", self.capture, "--json", "-c", "50000")
        self.dpdk("flowgen", "client")
        report = self.report(tap, 60)
        seen = frames(self.capture)
        received = {frame.data for frame in seen if frame.direction == INBOUND}
        sent = {frame.data for frame in seen if frame.direction == OUTBOUND}
        self.assertGreater(len(received), 10)
        self.assertGreater(len(sent), 10)
        swapped = {data[6:12] + data[:6] + data[12:] for data in received}
        self.assertGreater(len(sent & swapped), len(sent) // 2)  # of the others, the packet was missed on its way here
        self.assertEqual(report["captured"], 50_000)

    def test_testpmd_is_the_server_and_gets_all_that_is_seen(self):
        testpmd = self.dpdk("rxonly", "server")
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(1000)])
        replay = self.memif("replay", "--pps", "2000", "--loop", "1000", "--json", "--ring-size", "4096", source)
        tap = self.tap_of_a_link(replay, "-c", "500")
        wait_until(lambda: re.search(r"RX-packets: [1-9]", testpmd.stdout), "packets in testpmd's statistics")
        report = self.report(tap)
        self.assertEqual(report["captured"], 500)
        self.assertEqual(report["interfaces"][1]["missed"], 0)
        seen = [frame.data for frame in frames(self.capture)]
        first = [udp_frame(i) for i in range(1000)].index(seen[0])
        self.assertEqual(seen, [udp_frame((first + i) % 1000) for i in range(len(seen))])

    def tap_of_a_link(self, victim, *arguments):
        tap = self.start_tap(victim, "-w", self.capture, "--json", *arguments)
        tap.wait_for_output("is up")
        return tap


if __name__ == "__main__":
    unittest.main()
