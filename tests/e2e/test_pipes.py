"""Captures that come through a pipe: what has come is used at once, and while nothing comes all else goes on."""

import json
import os
import threading
import unittest

from support import MEMIF, E2ETest
from test_replay import udp_frame, write_pcap


class PipeTest(E2ETest):
    def setUp(self):
        super().setUp()
        capture = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(100)]).read_bytes()
        self.head, self.records = capture[:24], [capture[at : at + 80] for at in range(24, len(capture), 80)]
        self.fifo = self.dir / "pipe"
        os.mkfifo(self.fifo)

    def writer(self):
        """The writing end, once somebody reads."""
        opened = []
        thread = threading.Thread(target=lambda: opened.append(os.open(self.fifo, os.O_WRONLY)), daemon=True)
        thread.start()
        thread.join(20)
        self.assertTrue(opened, "nobody opens the pipe")
        pipe = os.fdopen(opened[0], "wb", buffering=0)
        self.addCleanup(pipe.close)
        return pipe

    def ports(self, *numbers):
        """What a line of memif dump says of these frames."""
        return [f"10.0.0.1.{1024 + number} " for number in numbers]


class ReplayFromAPipe(PipeTest):
    def replay(self, *arguments, **port):
        return self.memif("replay", *arguments, **port)

    def assert_sends_what_came(self, replay, dump):
        pipe = self.writer()
        pipe.write(self.head + b"".join(self.records[:3]))
        for port in self.ports(0, 1, 2):
            dump.wait_for_output(port)
        pipe.write(self.records[3] + self.records[4][:50])  # not a whole packet
        dump.wait_for_output(*self.ports(3))
        self.assertTrue(replay.running(), str(replay))
        pipe.write(self.records[4][50:])
        dump.wait_for_output(*self.ports(4))
        pipe.write(b"".join(self.records[5:]))
        pipe.close()
        report = self.report(replay)
        self.assertEqual((report["read"], report["sent"], report["not_sent"]), (100, 100, 0))
        self.assertEqual((report["complete"], report["bytes"]), (True, 6400))

    def test_what_came_is_sent_at_once(self):
        dump = self.listening(self.memif("dump", role="server"))
        self.assert_sends_what_came(self.replay("--topspeed", "--json", self.fifo), dump)

    def test_also_from_standard_input_by_a_receiver_that_polls(self):
        dump = self.listening(self.memif("dump", role="server"))
        line = f'exec "$@" - < {self.fifo}'
        command = (MEMIF, "replay", "--socket", self.socket, "--pps", "1Mpps", "--rx-mode", "polling", "--json")
        self.assert_sends_what_came(self.start("sh", "-c", line, "sh", *command), dump)

    def test_a_whole_file_through_a_pipe_is_the_file(self):
        source = write_pcap(self.dir / "long.pcap", [udp_frame(i) for i in range(30_000)])
        dump = self.listening(self.memif("dump", "-q", "-c", "30000", "--json", role="server"))
        replay = self.start("sh", "-c", f'cat {source} | exec "$@" -', "sh", MEMIF, "replay", "--socket", self.socket,
                            "--topspeed", "--json")  # fmt: skip
        report = self.report(replay)
        self.assertEqual((report["sent"], report["bytes"]), (30_000, 30_000 * 64))
        self.assertEqual(self.report(dump)["captured"], 30_000)

    def test_it_is_a_peer_while_nothing_comes(self):
        replay = self.listening(self.replay(self.fifo, role="server"))
        pipe = self.writer()
        pipe.write(self.head + self.records[0])
        dump = self.memif("dump")
        dump.wait_for_output(*self.ports(0))
        dump.terminate()
        self.assert_exit(replay, 1)
        self.assertIn("the link", replay.stderr)

    def test_a_signal_ends_it_while_nothing_comes(self):
        for written in (b"", self.head, self.head + self.records[0], self.head + self.records[0] + self.records[1][:20]):
            with self.subTest(len(written)):
                replay = self.listening(self.replay("--json", self.fifo, role="server"))
                pipe = self.writer()
                pipe.write(written)
                dump = self.memif("dump")
                if len(written) > len(self.head):
                    dump.wait_for_output(*self.ports(0))
                self.assertEqual(replay.terminate(), 0, str(replay))
                self.assertFalse(json.loads(replay.stdout)["complete"])
                pipe.close()
                dump.terminate()

    def test_what_comes_is_no_capture(self):
        self.listening(self.memif("dump", "--reconnect", role="server"))
        wrong = write_pcap(self.dir / "wrong.pcap", [udp_frame(0)], link_type=105).read_bytes()
        for content, code, words in (
            (b"this is no capture, not at all", 1, "unknown file format"),
            (b"", 1, "truncated"),
            (wrong, 2, "IEEE802_11"),
            (self.head + self.records[0] + self.records[1][:-1], 1, "beyond packet 1"),
        ):
            with self.subTest(words):
                replay = self.replay(self.fifo)
                pipe = self.writer()
                pipe.write(content)
                pipe.close()
                self.assert_exit(replay, code)
                self.assertIn(words, replay.stderr)

    def test_a_pipe_is_read_once(self):
        replay = self.replay("--loop", "2", self.fifo)
        self.assert_exit(replay, 2)
        self.assertIn("--loop needs an ordinary file", replay.stderr)


class DumpFromAPipe(PipeTest):
    def test_what_came_is_shown_at_once(self):
        dump = self.start(MEMIF, "dump", "-r", self.fifo)
        pipe = self.writer()
        pipe.write(self.head + self.records[0] + self.records[1][:20])
        dump.wait_for_output(*self.ports(0))
        self.assertEqual(dump.terminate(), 0, str(dump))

    def test_it_ends_when_its_time_is_over(self):
        dump = self.start(MEMIF, "dump", "-r", self.fifo, "-a", "duration:100ms", "--json")
        pipe = self.writer()
        pipe.write(self.head + self.records[0])
        lines = dump.wait(), dump.stdout.splitlines()
        self.assertEqual(lines[0], 0, str(dump))
        self.assertEqual(json.loads(lines[1][-1])["ended_by"], "duration")


class BridgeFromAPipe(PipeTest):
    def setUp(self):
        super().setUp()
        self.here, self.there = self.dir / "here.sock", self.dir / "there.sock"

    def bridge(self, *ports):
        bridge = self.start(MEMIF, "bridge", *ports, "--json")
        return self.listening(self.listening(bridge, self.here), self.there)

    def three_ports(self):
        return self.bridge(f"memif:{self.here},role=server", f"memif:{self.there},role=server", f"pcap:in={self.fifo}")

    def assert_passes(self):
        ping = self.memif("ping", "--source", "10.9.0.1/24", "-c", "3", "-i", "0.01", "--json", "10.9.0.2",
                          socket=self.here)  # fmt: skip
        self.assert_all_answered(ping, 3)

    def test_other_ports_go_on_while_nobody_writes(self):
        bridge = self.three_ports()
        self.respond("10.9.0.2/24", socket=self.there)
        self.assert_passes()
        self.assertEqual(bridge.terminate(), 0, str(bridge))
        self.assertEqual(json.loads(bridge.stdout)["ports"][2]["rx_packets"], 0)

    def test_what_came_is_sent_and_other_ports_go_on(self):
        bridge = self.three_ports()
        dump = self.memif("dump", "udp", socket=self.there)
        pipe = self.writer()
        for number, record in enumerate(self.records[:3]):
            pipe.write((self.head if number == 0 else b"") + record)
        pipe.write(self.records[3][:40])
        # A frame may go when both memifs are up.
        with self.subTest("while a frame is not whole"):
            self.assertEqual(self.start(MEMIF, "ping", "--socket", self.here, "--source", "10.9.0.1/24", "-c", "1", "-W",
                                        "50ms", "10.9.0.2").wait(), 1)  # fmt: skip
            for port in self.ports(0, 1, 2):
                dump.wait_for_output(port)
            dump.terminate()
            self.respond("10.9.0.2/24", socket=self.there)
            self.assert_passes()
        pipe.write(self.records[3][40:])
        pipe.close()
        with self.subTest("after the end"):
            self.assert_passes()
            self.assertEqual(bridge.terminate(), 0, str(bridge))
            self.assertEqual(json.loads(bridge.stdout)["ports"][2]["rx_packets"], 4)

    def test_a_signal_ends_it_while_nothing_is_there(self):
        copy = self.dir / "copy.pcap"
        bridge = self.start(MEMIF, "bridge", f"pcap:in={self.fifo}", f"pcap:out={copy}", "--json")
        pipe = self.writer()
        bridge.wait_for_output("joining")
        self.assertEqual(bridge.terminate(), 0, str(bridge))
        pipe.close()

    def test_a_pipe_is_read_once(self):
        bridge = self.start(MEMIF, "bridge", f"pcap:in={self.fifo},loop=2", f"pcap:out={self.dir / 'copy.pcap'}")
        self.assert_exit(bridge, 2)
        self.assertIn("loop= needs an ordinary file", bridge.stderr)


if __name__ == "__main__":
    unittest.main()
