"""memif perf: both ends in one command, against another memif command, and its thresholds."""

import json
import unittest

from support import MEMIF, E2ETest


class Perf(E2ETest):
    def both(self, *arguments, server="", client=""):
        return self.start(
            MEMIF, "perf", "--port", f"memif:{self.socket},role=server{server}",
            "--port", f"memif:{self.socket},role=client{client}", "--time", "500ms", "--json", *arguments,
        )  # fmt: skip

    def test_both_ends_in_one_command_lose_nothing(self):
        report = self.report(self.both("--max-loss", "0"))
        self.assertGreater(report["sent"], 0)
        self.assertEqual(report["received"], report["sent"])
        self.assertEqual(report["loss_percent"], 0)
        latency = report["latency"][0]
        self.assertLessEqual(latency["p50_us"], latency["p99_9_us"])

    def test_a_mix_of_sizes_at_a_rate_keeps_the_rate_and_the_mean_size(self):
        report = self.report(self.both("--size", "64:1,1500:1", "--rate", "20kpps"))
        self.assertLessEqual(report["sent"], 20000)
        mean = report["bits_per_second"] / 8 / report["sent_pps"]
        self.assertAlmostEqual(mean, 782, delta=10)

    def test_a_missed_rate_is_exit_code_4_after_the_report(self):
        process = self.both("--rate", "1kpps", "--min-rate", "1Gpps")
        self.assert_exit(process, 4)
        self.assertGreater(json.loads(process.stdout)["sent"], 0)

    def test_packets_shorter_than_the_mark_are_wrong_usage(self):
        self.assert_exit(self.both("--size", "63"), 2)

    def test_a_reflector_returns_everything(self):
        self.respond("--reflect", role="server")
        report = self.report(self.memif("perf", "--time", "500ms", "--rate", "5kpps", "--json"))
        self.assertGreater(report["received"], 0)
        self.assertEqual(report["received"], report["sent"])
        self.assertGreater(report["latency"][0]["samples"], 0)

    def test_a_peer_that_is_a_receiver_counts_what_was_sent(self):
        receiver = self.listening(self.memif("perf", "--receive", "--json", role="server"))
        sent = self.report(self.memif("perf", "--time", "500ms", "--rate", "5kpps", "--json"))
        received = self.report(receiver)
        self.assertEqual(received["received"], sent["sent"])
        self.assertEqual(received["loss_percent"], 0)
        self.assertIsNone(sent["loss_percent"])


if __name__ == "__main__":
    unittest.main()
