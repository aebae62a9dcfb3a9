"""DPDK's testpmd as the peers of memif bridge --pool: servers at both ends, whose clients share their buffers."""

import re
import unittest

from support import wait_until
from test_bridge_pool import TARGET, PoolTest


def received(testpmd):
    """Packets, as of its last statistics."""
    counts = re.findall(r"RX-packets: (\d+)", testpmd.stdout)
    return int(counts[-1]) if counts else 0


class TestpmdPoolTest(PoolTest):
    def server(self, name, mode, *arguments):
        return self.dpdk(mode, "server", *arguments, socket=self.place(name))

    def from_one_to_the_other(self, *arguments):
        self.server("a", "txonly", *arguments)
        sink = self.server("b", "rxonly")
        bridge = self.bridge("a", "b")
        wait_until(lambda: received(sink) > 10000, "packets at the other testpmd", timeout=60)
        first, second = self.totals(bridge)
        self.assertGreater(second["tx_packets"], 10000)
        self.assertEqual(second["tx_exchanged"], second["tx_packets"])
        self.assertEqual(first["rx_dropped"], 0)
        return second

    def test_packets_from_one_to_the_other(self):
        passed = self.from_one_to_the_other("--txpkts=64")
        self.assertEqual(passed["tx_bytes"], 64 * passed["tx_packets"])

    def test_packets_of_several_buffers(self):
        passed = self.from_one_to_the_other("--txpkts=1400,1400,1400")
        self.assertEqual(passed["tx_bytes"], 4200 * passed["tx_packets"])

    def test_two_that_send_back_what_they_get(self):
        """Packets of ours go from one testpmd to the other and back for ever."""
        both = [self.server(name, "io") for name in "ab"]
        bridge = self.bridge("a", "b", "c")
        self.memif("ping", "-c", "1", "--wait", "20s", "--source", "10.9.0.1/24", TARGET, role="server",
                   socket=self.place("c"))  # fmt: skip
        for testpmd in both:
            wait_until(lambda testpmd=testpmd: received(testpmd) > 10000, "packets that go round", timeout=60)
        self.assertGreater(sum(port["tx_exchanged"] for port in self.totals(bridge)), 0)

    def test_pings(self):
        self.server("b", "icmpecho")
        bridge = self.bridge("a", "b")
        self.assert_all_answered(self.ping(count=500), 500, timeout=60)
        self.assert_nothing_copied(self.totals(bridge))


if __name__ == "__main__":
    unittest.main()
