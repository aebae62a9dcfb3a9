"""memif perf: the search for throughput, both directions at once, and the warm-up."""

import json
import signal
import unittest

from support import MEMIF, E2ETest

TRIAL = ("--time", "200ms", "--resolution", "20%", "--tries", "5", "--json")


class PerfSearch(E2ETest):
    def ports(self, *arguments):
        words = (f"memif:{self.socket},role=server", f"memif:{self.socket},role=client")
        return self.start(MEMIF, "perf", "--port", words[0], "--port", words[1], *arguments)

    def assert_limited(self, search, rate):
        """The search ended at the highest rate that it might try, which is easy to reach."""
        self.assertTrue(search["limited"], json.dumps(search))
        best = search["best"]
        self.assertEqual(best["offered_pps"], rate)
        self.assertEqual((best["loss_percent"], best["passed"], best["taken"]), (0, True, True))
        self.assertAlmostEqual(best["received_pps"], rate, delta=rate / 10)

    def test_a_rate_that_a_reflector_returns_is_found(self):
        self.listening(self.memif("perf", "--reflect", role="server"))
        report = self.report(self.memif("perf", *TRIAL, "--ndr", "--pdr", "1%", "--rate", "2kpps"))
        self.assertEqual((report["test"], len(report["searches"])), ("round_trip", 2))
        for search, (goal, loss) in zip(report["searches"], (("ndr", 0), ("pdr", 1))):
            self.assertEqual((search["goal"], search["max_loss_percent"], search["size"]), (goal, loss, "64"))
            self.assert_limited(search, 2000)

    def test_sizes_are_swept_and_bit_rates_are_those_of_the_size(self):
        report = self.report(self.ports(*TRIAL, "--ndr", "--sizes", "64,imix,1500", "--rate", "8Mbit/s"))
        self.assertEqual([search["size"] for search in report["searches"]], ["64", "imix", "1500"])
        for search in report["searches"]:
            self.assert_limited(search, 1e6 / search["mean_size"])

    def test_without_a_limit_it_finds_one(self):
        process = self.ports("--time", "100ms", "--ndr", "--resolution", "20%", "--tries", "2")
        self.assert_exit(process, 0)
        self.assertRegex(process.stdout, r"(?m)^  [\d.]+ [kMG]?pps +sent .* (passed|failed.*)$")
        self.assertRegex(process.stdout, r"(?m)^64 bytes, NDR: [\d.]+ [kMG]?pps, [\d.]+ [kMG]bit/s; lost 0 %; one way p50")

    def test_both_directions_are_searched_in_proportion(self):
        report = self.report(self.ports(*TRIAL, "--both", "--ndr", "--rate", "1kpps,3kpps"))
        self.assertEqual(report["test"], "both_ways")
        self.assert_limited(report["searches"][0], 4000)

    def test_a_burst_is_no_longer_than_the_ring_of_a_peer_that_takes_nothing(self):
        self.listening(self.memif("perf", "--reflect", role="server"))
        report = self.report(self.memif("perf", *TRIAL, "--back-to-back"))
        burst = report["bursts"][0]
        self.assertEqual((report["searches"], burst["size"]), ([], "64"))
        self.assertGreaterEqual(burst["packets"], 64)

    def test_a_missed_rate_is_exit_code_4(self):
        process = self.ports(*TRIAL, "--ndr", "--rate", "1kpps", "--min-rate", "1Mpps")
        self.assert_exit(process, 4)
        self.assertRegex(process.stderr, r"64 bytes, NDR: [\d.]+ k?pps, less than 1Mpps")

    def test_a_peer_that_returns_nothing_is_told(self):
        self.listening(self.memif("perf", "--receive", role="server"))
        process = self.memif("perf", "--ndr", "--time", "100ms")
        self.assert_exit(process, 1)
        self.assertIn("nothing comes back", process.stderr)

    def test_a_peer_that_leaves_and_a_signal_end_it(self):
        reflector = self.listening(self.memif("perf", "--reflect", role="server"))
        process = self.memif("perf", "--ndr", "--time", "2s")
        reflector.wait_for_output("received")
        self.assertEqual(reflector.kill(), -signal.SIGKILL)
        self.assert_exit(process, 1)
        self.assertIn("is down", process.stderr)
        self.socket.unlink()
        process = self.ports("--ndr", "--time", "1s")
        process.wait_for_output("sent")
        self.assertEqual(process.terminate(), 0, str(process))

    def test_wrong_usage_is_told(self):
        for words, expected in (
            (("--sizes", "64"), "--sizes"),
            (("--ndr", "--sizes", "64,"), "''"),
            (("--ndr", "--sizes", "64,63"), "--size"),
            (("--ndr", "--max-loss", "1%"), "--max-loss"),
            (("--ndr", "--resolution", "0"), "--resolution"),
            (("--ndr", "--tries", "0"), "--tries"),
            (("--pdr", "x"), "--pdr"),
            (("--both", "--reflect"), "--both"),
            (("--rate", "1kpps,2kpps"), "--rate"),
        ):
            with self.subTest(words):
                process = self.ports(*words)
                self.assert_exit(process, 2)
                self.assertIn(expected, process.stderr)


class PerfDirections(E2ETest):
    def ports(self, *arguments):
        words = (f"memif:{self.socket},role=server", f"memif:{self.socket},role=client")
        return self.start(MEMIF, "perf", "--port", words[0], "--port", words[1], "--json", *arguments)

    def test_each_direction_has_its_rate_its_loss_and_its_latency(self):
        report = self.report(
            self.ports("--both", "--time", "500ms", "--rate", "2kpps,500pps", "-i", "200ms", "--max-loss", "0")
        )
        self.assertEqual(report["test"], "both_ways")
        for direction, rate in zip(report["directions"], (2000, 500)):
            self.assertAlmostEqual(direction["sent_pps"], rate, delta=rate / 4)
            self.assertEqual((direction["received"], direction["lost"]), (direction["sent"], 0))
            self.assertEqual(direction["latency"]["kind"], "one_way")
            self.assertEqual(sum(one["received"] for one in direction["intervals"]), direction["received"])
        for what in ("sent", "sent_bytes", "received", "received_bytes", "lost"):
            self.assertEqual(sum(one[what] for one in report["directions"]), report[what])
        self.assertEqual([queue["does"] for queue in report["queues"]], ["exchange", "exchange"])

    def test_intervals_have_their_loss_and_latency_and_threads_their_cpu_time(self):
        report = self.report(self.ports("--time", "500ms", "--rate", "5kpps", "-i", "100ms"))
        self.assertGreaterEqual(len(report["intervals"]), 3)
        self.assertEqual(sum(one["lost"] or 0 for one in report["intervals"]), report["lost"])
        samples = [one["latency"]["samples"] for one in report["intervals"] if one["latency"]]
        self.assertEqual(sum(samples), report["latency"]["samples"])
        self.assertLessEqual(max(one["latency"]["max_us"] for one in report["intervals"] if one["latency"]),
                             report["latency"]["max_us"])  # fmt: skip
        for queue in report["queues"]:
            self.assertGreater(queue["cpu_s"], 0)
            packets = queue["sent"] + queue["received"]
            self.assertAlmostEqual(queue["cpu_ns_per_packet"], queue["cpu_s"] * 1e9 / packets, places=3)

    def test_what_is_sent_before_does_not_count(self):
        self.listening(self.memif("perf", "--reflect", "--json", role="server"))
        report = self.report(self.memif("perf", "--time", "200ms", "--warm-up", "300ms", "--rate", "1kpps", "--json"))
        self.assertLess(report["sent"], 300)
        self.assertEqual((report["received"], report["lost"], report["foreign"]), (report["sent"], 0, 0))


if __name__ == "__main__":
    unittest.main()
