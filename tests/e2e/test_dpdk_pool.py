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

    def test_packets_from_one_to_the_other(self):
        self.server("a", "txonly", "--txpkts=64")
        sink = self.server("b", "rxonly")
        bridge = self.bridge("a", "b")
        wait_until(lambda: received(sink) > 10000, "packets at the other testpmd", timeout=60)
        first, second = self.totals(bridge)
        self.assertGreater(second["tx_packets"], 10000)
        self.assertEqual(second["tx_exchanged"], second["tx_packets"])
        self.assertEqual(second["tx_bytes"], 64 * second["tx_packets"])
        self.assertEqual(first["rx_dropped"], 0)

    def test_pings(self):
        self.server("b", "icmpecho")
        bridge = self.bridge("a", "b")
        self.assert_all_answered(self.ping(count=500), 500, timeout=60)
        self.assert_nothing_copied(self.totals(bridge))


if __name__ == "__main__":
    unittest.main()
