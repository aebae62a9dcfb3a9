"""memif perf against DPDK's testpmd, as the sink, the source and the reflector, in both roles."""

import json
import unittest

from support import E2ETest

WAIT = ("--wait", "20s", "--json")


class TestpmdPerf(E2ETest):
    def perf(self, mode, role, *arguments, time="1s", testpmd=()):
        """The report of memif perf in `role`, with testpmd at the other end."""
        if role == "client":
            peer = self.dpdk(mode, "server", *testpmd)
            process = self.memif("perf", *WAIT, "--time", time, *arguments, role=role)
        else:
            process = self.listening(self.memif("perf", *WAIT, "--time", time, *arguments, role=role))
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

    def test_a_search_finds_what_it_forwards(self):
        for mode in ("io", "macfwd"):
            with self.subTest(mode):
                words = ("--pdr", "20%", "--resolution", "20%", "--sizes", "64,512", "--tries", "2")
                report = self.perf(mode, "client", *words, time="200ms")
                found = [(search["size"], search["goal"]) for search in report["searches"]]
                self.assertEqual(found, [("64", "pdr"), ("512", "pdr")])
                for search in report["searches"]:
                    self.assertIsNotNone(search["best"], json.dumps(search))
                    self.assertLessEqual(search["best"]["loss_percent"], search["max_loss_percent"])
                    self.assertGreater(search["best"]["received_pps"], 10000)


if __name__ == "__main__":
    unittest.main()
