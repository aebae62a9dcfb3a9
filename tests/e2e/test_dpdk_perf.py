"""memif perf against DPDK's testpmd, as the sink, the source and the reflector, in both roles."""

import unittest

from support import E2ETest

TIME = ("--time", "1s", "--wait", "20s", "--json")


class TestpmdPerf(E2ETest):
    def perf(self, mode, role, *arguments, testpmd=()):
        """The report of memif perf in `role`, with testpmd at the other end."""
        if role == "client":
            peer = self.dpdk(mode, "server", *testpmd)
            process = self.memif("perf", *TIME, *arguments, role=role)
        else:
            process = self.listening(self.memif("perf", *TIME, *arguments, role=role))
            peer = self.dpdk(mode, "client", *testpmd)
        report = self.report(process, timeout=60)
        peer.kill()
        self.socket.unlink(missing_ok=True)
        return report

    def test_rxonly_takes_what_is_sent(self):
        for role in ("client", "server"):
            with self.subTest(role):
                report = self.perf("rxonly", role)
                self.assertGreater(report["sent"], 0)
                self.assertEqual(report["received"], 0)
                self.assertIsNone(report["lost"])

    def test_txonly_is_received(self):
        for role in ("client", "server"):
            with self.subTest(role):
                report = self.perf("txonly", role, "--receive", testpmd=("--txpkts=64",))
                self.assertGreater(report["received"], 0)
                self.assertEqual(report["foreign"], report["received"])
                self.assertEqual(report["received_bytes"], 64 * report["received"])

    def test_macswap_returns_what_is_sent(self):
        for role in ("client", "server"):
            with self.subTest(role):
                report = self.perf("macswap", role, "--rate", "1kpps")
                self.assertGreater(report["received"], 0)
                self.assertLessEqual(report["received"], report["sent"])
                self.assertEqual(report["foreign"], 0)
                self.assertEqual(report["latency"]["kind"], "round_trip")


if __name__ == "__main__":
    unittest.main()
