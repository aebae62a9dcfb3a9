"""DPDK's testpmd as the peer, in both roles."""

import signal
import unittest

from support import E2ETest, wait_until
from test_dump_info import frames

PING = ("--source", "192.168.7.1/24", "--wait", "20s", "--json")
TARGET = "192.168.7.2"


class TestpmdTest(E2ETest):
    def ping_server(self, *arguments, count=1000, port=(), testpmd=()):
        self.dpdk("icmpecho", "server", *testpmd)
        pinger = self.memif("ping", *port, *PING, "-c", count, *arguments, TARGET, role="client")
        self.assert_all_answered(pinger, count, timeout=60)

    def ping_client(self, *arguments, count=1000, port=(), testpmd=()):
        pinger = self.memif("ping", *port, *PING, "-c", count, *arguments, TARGET, role="server")
        self.listening(pinger)
        self.dpdk("icmpecho", "client", *testpmd)
        self.assert_all_answered(pinger, count, timeout=60)

    def test_1000_pings_to_the_server(self):
        self.ping_server("-i", "0.001")

    def test_1000_pings_to_the_client(self):
        self.ping_client("-i", "0.001")

    def test_two_queues_to_the_server(self):
        self.ping_server("-i", "0.001", count=200, port=("--queues", "2"), testpmd=("--rxq=2", "--txq=2"))

    def test_two_queues_to_the_client(self):
        self.ping_client("-i", "0.001", count=200, port=("--queues", "2"), testpmd=("--rxq=2", "--txq=2"))

    def serves(self, server, clients):
        """Whether it lives until they have had their answers."""
        for _ in range(clients):
            ping = self.memif("ping", *PING, "-c", "20", "-i", "0.001", TARGET)
            wait_until(lambda ping=ping: not (ping.running() and server.running()), "the end of ping")
            if not server.running():
                return False
            self.assert_all_answered(ping, 20)
        return True

    def test_server_outlives_its_clients(self):
        """DPDK 22.11 unmaps a client's rings when that goes, maybe beneath its own thread that forwards, and then it
        dies: such a server is started again."""
        for _ in range(10):
            server = self.dpdk("icmpecho", "server")
            if self.serves(server, clients=3):
                return
            self.assert_exit(server, -signal.SIGSEGV)
            self.socket.unlink()
        self.fail("no server lived until its third client had gone")

    def test_dump_of_1000_frames_from_the_client(self):
        capture = self.dir / "f.pcapng"
        dump = self.memif("dump", "-c", "1000", "-w", capture, "--wait", "20s", role="server")
        self.listening(dump)
        self.dpdk("txonly", "client", "--txpkts=64")
        self.assert_exit(dump, 0, timeout=60)
        self.assertEqual(len(frames(capture)), 1000)

    def test_dump_of_1000_frames_from_the_server(self):
        capture = self.dir / "f.pcapng"
        self.dpdk("txonly", "server", "--txpkts=64")
        self.assert_exit(self.memif("dump", "-c", "1000", "-w", capture, "--wait", "20s"), 0, timeout=60)
        self.assertEqual(len(frames(capture)), 1000)

    def test_a_client_with_more_queues_than_are_taken_brings_no_garbage(self):
        """22.11 goes on with all its queues if it is not refused as a whole, and reads the first ring in place of those
        that it was not given."""
        dump = self.memif("dump", "--queues", "1", "-q", "--wait", "10s", role="server")
        self.listening(dump)
        testpmd = self.dpdk("txonly", "client", "--rxq=4", "--txq=4")
        self.assert_no_peer(dump, "ring 1 is one too many: 1 from the client is accepted here")
        self.assertTrue(testpmd.running())

    def test_a_server_without_options_takes_all_that_a_client_brings(self):
        dump = self.listening(self.memif("dump", "-q", "-c", "2000", "--wait", "60s", role="server"))
        self.dpdk("txonly", "client", "--rxq=4", "--txq=4")
        self.assert_exit(dump, 0, timeout=60)


if __name__ == "__main__":
    unittest.main()
