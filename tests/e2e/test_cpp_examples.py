"""The programs of examples/cpp and examples/adapters, with the command at the other ends."""

import os
import signal
import socket
import time
import unittest

from support import EXAMPLES, E2ETest, wait_until
from test_replay import udp_frame, write_pcap


class CppExamplesTest(E2ETest):
    def example(self, name, *arguments):
        return self.start(EXAMPLES / name, *arguments)

    def assert_ends_at_once(self, process, how=signal.SIGTERM):
        """It sleeps, and nothing but the signal wakes it."""
        process.popen.send_signal(how)
        self.assert_exit(process, 0)

    def test_switch(self):
        sockets = [self.dir / f"{i}.sock" for i in range(3)]
        switch = self.listening(self.example("switch", *sockets), sockets[-1])
        first = self.respond("10.0.0.2/24", socket=sockets[1])
        second = self.respond("10.0.0.3/24", socket=sockets[2])
        for socket in sockets[1:]:
            switch.wait_for_output(f"{socket} is up")

        def ping(address):
            return self.memif("ping", "--source", "10.0.0.1/24", "-c", "5", "-i", "5ms", "--json", "--wait", "20s",
                              address, socket=sockets[0])  # fmt: skip

        self.assert_all_answered(ping("10.0.0.2"), 5)
        self.assert_all_answered(ping("10.0.0.3"), 5)
        first.terminate()
        first = self.respond("10.0.0.4/24", socket=sockets[1])
        wait_until(lambda: switch.stdout.count(f"{sockets[1]} is up") == 2, "the next peer of a port")
        self.assert_all_answered(ping("10.0.0.4"), 5)
        self.assert_ends_at_once(switch, signal.SIGINT)
        second.terminate()

    def test_switch_sleeps_while_nothing_happens(self):
        sockets = [self.dir / f"{i}.sock" for i in range(2)]
        switch = self.listening(self.example("switch", *sockets), sockets[-1])
        self.respond("10.0.0.2/24", socket=sockets[1])
        switch.wait_for_output("is up")

        def cpu():
            with open(f"/proc/{switch.pid}/stat", encoding="utf-8") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])  # ticks of 10 ms

        before = cpu()
        time.sleep(1)
        self.assertLess(cpu() - before, 20, "of 100 ticks")
        self.assert_ends_at_once(switch)

    def test_echo(self):
        echo = self.listening(self.example("echo", self.socket, "server"))
        write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(200)])
        for _ in range(2):
            self.assert_exit(self.memif("replay", "--pps", "2000", self.dir / "in.pcap"), 0)
        wait_until(lambda: echo.stdout.count("disconnected") == 2, "the end of both links")
        self.assert_ends_at_once(echo)
        self.assertIn("400 frames echoed", echo.stdout, str(echo))

    def test_coroutines(self):
        sockets = [self.dir / f"{i}.sock" for i in range(2)]
        coroutines = self.listening(self.example("coroutines", *sockets), sockets[-1])
        write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(200)])
        for at in sockets * 2:
            self.assert_exit(self.memif("replay", "--pps", "2000", self.dir / "in.pcap", socket=at), 0)
        wait_until(lambda: coroutines.stdout.count(": 200 frames") == 4, "the end of all links")
        self.assert_ends_at_once(coroutines)

    def test_echo_in_loops_of_other_libraries(self):
        write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(200)])
        for loop in "libuv", "libevent", "glib", "sd_event", "qt":
            if not os.path.exists(EXAMPLES / f"{loop}_echo"):
                continue  # what is not installed; CI has all
            with self.subTest(loop):
                at = self.dir / f"{loop}.sock"
                echo = self.listening(self.example(f"{loop}_echo", at), at)
                for _ in range(2):
                    self.assert_exit(self.memif("replay", "--pps", "2000", self.dir / "in.pcap", socket=at), 0)
                wait_until(lambda echo=echo: echo.stdout.count("disconnected") == 2, "the end of both links")
                self.assert_ends_at_once(echo)
                self.assertIn("400 frames echoed", echo.stdout, str(echo))

    def test_asio_gateway(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            udp.settimeout(20)
            at = self.dir / "gateway.sock"
            to = f"127.0.0.1:{udp.getsockname()[1]}"
            gateway = self.listening(self.example("asio_gateway", at, port, to), at)
            write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(20)])
            for _ in range(2):  # peers come and go
                self.assert_exit(self.memif("replay", "--pps", "2000", self.dir / "in.pcap", socket=at), 0)
                for i in range(20):
                    self.assertEqual(udp.recv(65536), udp_frame(i))
            # The other way: a datagram that is an Ethernet frame is answered by a responder as a frame.
            self.respond("10.0.0.2/24", socket=at, role="client")
            wait_until(lambda: gateway.stdout.count("connected") == 3, "the responder")
            who_has = bytes.fromhex("ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 0a000001 "
                                    "000000000000 0a000002")  # fmt: skip
            udp.sendto(who_has, ("127.0.0.1", port))
            answer = udp.recv(65536)
            self.assertEqual(answer[12:14] + answer[20:22], bytes.fromhex("0806 0002"))
            self.assertEqual(answer[28:32], bytes([10, 0, 0, 2]))
            self.assert_ends_at_once(gateway)

    def test_own_loop(self):
        loop = self.listening(self.example("own_loop", self.socket, "server"))
        write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(200)])
        for _ in range(3):
            self.assert_exit(self.memif("replay", "--pps", "2000", self.dir / "in.pcap"), 0)
        wait_until(lambda: loop.stdout.count("disconnected") == 3, "the end of all links")
        self.assert_ends_at_once(loop)
        self.assertIn("600 packets received", loop.stdout, str(loop))

    def test_threads(self):
        threads = self.listening(self.example("threads", self.socket, "server"))
        write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(200)])
        self.assert_exit(self.memif("replay", "--pps", "2000", self.dir / "in.pcap"), 0)
        threads.wait_for_output("disconnected")
        self.assert_ends_at_once(threads)
        self.assertIn("queue 0 (polling): 200 received", threads.stdout, str(threads))


if __name__ == "__main__":
    unittest.main()
