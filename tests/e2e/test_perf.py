"""memif perf: both ends in one command, against another memif process, and its limits."""

import json
import shlex
import signal
import subprocess
import time
import unittest

from support import MEMIF, PATIENCE, E2ETest
from test_replay import udp_frame, write_pcap

SHORT = ("--time", "300ms", "--json")


class Perf(E2ETest):
    def both(self, *arguments, port=""):
        words = (f"memif:{self.socket},role=server{port}", f"memif:{self.socket},role=client")
        return self.start(MEMIF, "perf", "--port", words[0], "--port", words[1], *SHORT, *arguments)

    def assert_all_arrived(self, report):
        self.assertGreater(report["sent"], 0)
        self.assertEqual((report["received"], report["lost"], report["loss_percent"]), (report["sent"], 0, 0))
        self.assertEqual((report["foreign"], report["out_of_order"]), (0, 0))
        latency = report["latency"]
        self.assertGreater(latency["samples"], 0)
        order = [latency[key] for key in ("min_us", "p50_us", "p90_us", "p99_us", "p99_9_us", "p99_99_us", "max_us")]
        self.assertEqual(order, sorted(order))

    def test_both_ends_in_one_command_lose_nothing(self):
        report = self.report(self.both("--max-loss", "0%"))
        self.assertEqual((report["schema"], report["test"]), ("memif-perf/1", "one_way"))
        self.assertEqual(report["latency"]["kind"], "one_way")
        self.assert_all_arrived(report)

    def test_the_second_of_two_ports_can_reflect(self):
        report = self.report(self.both("--reflect", "--rate", "5kpps"))
        self.assertEqual((report["test"], report["latency"]["kind"]), ("round_trip", "round_trip"))
        self.assert_all_arrived(report)

    def test_each_queue_has_a_thread_and_its_share_of_the_rate(self):
        report = self.report(self.both("--rate", "20kpps", port=",queues=2"))
        self.assert_all_arrived(report)
        does = [(queue["queue"], queue["does"]) for queue in report["queues"]]
        self.assertEqual(does, [(0, "send"), (1, "send"), (0, "receive"), (1, "receive")])
        for queue in report["queues"][:2]:
            self.assertGreater(queue["sent"], 0)
        self.assertLessEqual(report["sent_pps"], 21000)

    def test_a_mix_of_sizes_keeps_its_mean_size_and_the_bit_rate(self):
        report = self.report(self.both("--size", "64:1,1500:1", "--rate", "50Mbit/s"))
        self.assert_all_arrived(report)
        self.assertAlmostEqual(report["sent_bytes"] / report["sent"], 782, delta=15)
        self.assertLessEqual(report["sent_bps"], 55e6)

    def test_it_ends_on_time_whatever_else_the_peer_sends(self):
        foreign = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(8)])
        perf = self.memif("perf", *SHORT, "--rate", "1kpps", role="server")
        self.listening(perf)
        began = time.monotonic()
        replay = self.memif("replay", "--pps", "20000", "--loop", "0", foreign)
        report = self.report(perf)
        self.assertLess(time.monotonic() - began, PATIENCE / 2)
        self.assertTrue(replay.running() or replay.wait() in (0, 1), str(replay))
        self.assertGreater(report["foreign"], 0)
        self.assertEqual((report["received"], report["lost"]), (report["foreign"], None))

    def test_duplicates_hide_no_loss(self):
        sent = self.dir / "sent.pcap"
        dump = self.listening(self.memif("dump", "-q", "-c", "300", "-w", self.dir / "sent.pcapng", role="server"))
        self.memif("perf", "--time", "2s", "--rate", "1kpps").wait()
        self.assert_exit(dump, 0)
        subprocess.run(["editcap", "-F", "pcap", str(self.dir / "sent.pcapng"), str(sent)], check=True)
        data = sent.read_bytes()
        head, packets = data[:24], [data[at : at + 16 + 64] for at in range(24, len(data), 16 + 64)]
        # Of 300, twenty are missing, and twenty others come twice: ten at once, ten later.
        order = packets[:100] + packets[120:200] + packets[190:] + packets[:10]
        sent.write_bytes(head + b"".join(order))
        perf = self.listening(self.memif("perf", "--receive", "--json", "--interval", "0", role="server"))
        self.assert_exit(self.memif("replay", "--topspeed", sent), 0)
        report = self.report(perf)
        self.assertEqual((report["received"], report["duplicates"], report["lost"]), (300, 20, 20))
        self.assertEqual((report["foreign"], report["out_of_order"]), (0, 0))

    def test_long_packets_in_tiny_buffers_arrive_whole(self):
        port = f"memif:{self.socket},role=server", f"memif:{self.socket},role=client,buffer=50"
        report = self.report(
            self.start(MEMIF, "perf", "--port", port[0], "--port", port[1], "--size", "9000", "--rate", "1kpps", *SHORT)
        )
        self.assert_all_arrived(report)
        self.assertEqual(report["received_bytes"], 9000 * report["received"])

    def test_intervals_add_up_to_the_total(self):
        for interval in ("100ms", "70ms", "1s"):  # which divide the time, or do not, or are longer
            with self.subTest(interval):
                report = self.report(self.both("--interval", interval, "--rate", "10kpps"))
                intervals = report["intervals"]
                self.assertGreaterEqual(len(intervals), 1 if interval == "1s" else 2)
                for what in ("sent", "sent_bytes", "received", "received_bytes"):
                    self.assertEqual(sum(one[what] for one in intervals), report[what], what)
                times = [(one["from_s"], one["to_s"]) for one in intervals]
                self.assertEqual([to for _, to in times[:-1]], [begin for begin, _ in times[1:]])
                self.assertEqual((times[0][0], times[-1][1]), (0, report["seconds"]))

    def test_a_missed_rate_is_exit_code_4_after_the_report(self):
        process = self.both("--rate", "1kpps", "--min-rate", "1Gpps")
        self.assert_exit(process, 4)
        self.assertGreater(json.loads(process.stdout)["sent"], 0)
        self.assertIn("less than 1Gpps", process.stderr)

    def test_the_report_in_words_has_the_units_of_the_options(self):
        words = (f"memif:{self.socket},role=server", f"memif:{self.socket},role=client")
        rates = r"[\d.]+ [kMG]?pps, [\d.]+ [kMG]?bit/s"
        process = self.start(MEMIF, "perf", "--port", words[0], "--port", words[1], "--time", "300ms", "-i", "100ms")
        self.assert_exit(process, 0)
        self.assertRegex(process.stdout, rf"s   sent {rates}   received {rates}   p50 [\d.]+ p99 [\d.]+ us\n")
        self.assertRegex(process.stdout, rf"sent      \d+ packets: {rates}\n")
        process = self.both("--rate", "1Mbit/s", "--min-rate", "1Gbit/s")
        self.assert_exit(process, 4)
        self.assertRegex(process.stderr, r"received [\d.]+ [kM]bit/s, less than 1Gbit/s")

    def test_wrong_usage_is_told(self):
        for words, expected in (
            (("--size", "63"), "--size"),
            (("--size", "64:0"), "'0'"),
            (("--rate", "fast"), "fast"),
            (("--rate", "0"), "--rate"),
            (("--time", "0"), "--time"),
            (("--burst", "257"), "--burst"),
            (("--receive",), "--receive"),
            (("--max-loss", "x"), "--max-loss"),
        ):
            with self.subTest(words):
                process = self.both(*words)
                self.assert_exit(process, 2)
                self.assertIn(expected, process.stderr)

    def test_the_example_of_the_help_works(self):
        text = self.start(MEMIF, "perf", "--help")
        self.assert_exit(text, 0)
        example = text.stdout.rsplit("Example: ", 1)[1].strip().replace("@a", str(self.socket)).replace("5s", "200ms")
        self.assert_all_arrived(self.report(self.start(MEMIF, *shlex.split(example)[1:])))


class PerfPeer(E2ETest):
    """Against a second process."""

    def test_a_reflector_returns_everything(self):
        for role, other in (("server", "client"), ("client", "server")):
            with self.subTest(sender=role):
                arguments = ("--rate", "5kpps", "--max-loss", "0")
                if role == "server":
                    sender = self.listening(self.memif("perf", *SHORT, *arguments, role=role))
                    reflector = self.memif("perf", "--reflect", "--json", role=other)
                else:
                    reflector = self.listening(self.memif("perf", "--reflect", "--json", role=other))
                    sender = self.memif("perf", *SHORT, *arguments, role=role)
                report = self.report(sender)
                self.assertEqual((report["sent"], report["lost"]), (report["received"], 0))
                self.assertEqual(report["latency"]["kind"], "round_trip")
                reflected = self.report(reflector)
                self.assertEqual((reflected["test"], reflected["sent"]), ("reflect", report["sent"]))

    def test_respond_reflects_as_well(self):
        self.respond("--reflect", role="server")
        report = self.report(self.memif("perf", *SHORT, "--rate", "5kpps", "--max-loss", "0"))
        self.assertEqual((report["sent"], report["lost"]), (report["received"], 0))

    def test_a_receiver_counts_what_was_sent(self):
        receiver = self.listening(self.memif("perf", "--receive", "--json", "--max-loss", "0", role="server"))
        sent = self.report(self.memif("perf", *SHORT, "--rate", "20kpps"))
        received = self.report(receiver)
        self.assertEqual(received["test"], "receive")
        self.assertEqual((received["received"], received["lost"]), (sent["sent"], 0))
        self.assertEqual((sent["lost"], sent["loss_percent"], sent["latency"]), (None, None, None))

    def test_nothing_returned_is_a_loss_if_a_limit_says_so(self):
        self.listening(self.memif("perf", "--receive", role="server"))
        process = self.memif("perf", *SHORT, "--rate", "1kpps", "--max-loss", "1%")
        self.assert_exit(process, 4)
        self.assertEqual(json.loads(process.stdout)["loss_percent"], 100)

    def test_a_receiver_that_is_interrupted_reports(self):
        receiver = self.listening(self.memif("perf", "--receive", "-i", "50ms", role="server"))
        sender = self.memif("perf", "--time", "20s", "--rate", "1kpps", "-i", "0")
        receiver.wait_for_output("received")
        self.assertEqual(receiver.terminate(), 0, str(receiver))
        self.assertIn("received", receiver.stdout)
        self.assert_exit(sender, 1)
        self.assertIn("is down", sender.stderr)

    def test_a_signal_while_it_waits_for_its_peer_ends_it_with_a_report(self):
        perf = self.listening(self.memif("perf", "--json", "--min-rate", "1Mpps", role="server"))
        perf.popen.send_signal(signal.SIGINT)
        report = self.report(perf)
        self.assertEqual((report["sent"], report["queues"]), (0, []))

    def test_no_peer_is_exit_code_3(self):
        self.assert_no_peer(self.memif("perf", "--wait", "100ms"), "no peer")


if __name__ == "__main__":
    unittest.main()
