"""VPPs as the peers of memif bridge --pool; see vpp.py."""

import unittest

from test_bridge_pool import PoolTest
from vpp import INTERFACE, OURS, THEIRS, Vpp, VppTest


class VppPool(VppTest, PoolTest):
    def setUp(self):
        super().setUp()
        self.vpp.create("server", self.place("b"))

    def test_pings_of_ours(self):
        bridge = self.bridge("a", "b")
        for size in (56, 1400, 8972):
            with self.subTest(size=size):
                ping = self.ping("--size", size, source=f"{OURS}/24", target=THEIRS)
                self.assert_all_answered(ping, 200, timeout=60)
        self.assert_nothing_copied(self.totals(bridge))

    def test_from_one_vpp_to_another(self):
        other = Vpp(self, self.dir / "vpp2")
        other.create("server", self.place("a"), addresses=(f"{OURS}/24",))
        bridge = self.bridge("a", "b")
        for name in "ab":  # an ARP request that is lost is not repeated for a second
            bridge.wait_for_output(f"/{name}.sock id 0: the link is up")
        self.vpp.ping(OURS)
        other.ping(THEIRS)
        self.assertGreater(self.vpp.packets(INTERFACE, "rx packets"), 10)
        self.assertTrue(other.process.running(), str(other.process))
        self.assert_nothing_copied(self.totals(bridge))

    def test_a_vpp_that_is_killed_while_the_others_traffic_passes(self):
        other = Vpp(self, self.dir / "vpp2")
        other.create("server", self.place("c"), addresses=("192.168.7.3/24",))
        bridge = self.bridge("a", "b", "c")
        other.wait_connected()
        ping = self.ping(source=f"{OURS}/24", target=THEIRS, count=3000)
        bridge.wait_for_output("/a.sock id 0: the link is up")
        other.process.kill()
        bridge.wait_for_output("/c.sock id 0: the link is down")
        self.assertTrue(ping.running(), "it was to be killed while the others' traffic passes")
        self.assert_all_answered(ping, 3000, timeout=60)
        other.start()
        other.create("server", self.place("c"), addresses=("192.168.7.3/24",))
        other.wait_connected()
        other.ping(THEIRS)
        self.assertGreater(self.totals(bridge)[1]["tx_exchanged"], 3000)


if __name__ == "__main__":
    unittest.main()
