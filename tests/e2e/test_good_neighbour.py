"""Nothing that we send, refuse or abandon ends a program that others wrote. docs/protocol.md, "Leaving"."""

import os
import struct
import unittest

import strangers
from strangers import Acceptor, Client
from support import MEMIF, E2ETest, wait_until

PING = ("--source", "192.168.7.1/24", "-c", "1")
TARGET = "192.168.7.2"


class NeighbourTest(E2ETest):
    def accept(self, **behaviour):
        acceptor = Acceptor(self.socket, **behaviour)
        self.addCleanup(acceptor.close)
        return acceptor

    def client(self):
        client = Client(self.socket)
        self.addCleanup(client.close)
        return client

    def assert_alive(self, acceptor, visits=1):
        wait_until(lambda: len(acceptor.heard) >= visits, "the visitor to leave")
        self.assertEqual(acceptor.deaths, [])

    def ping(self, *arguments, wait="400ms"):
        return self.memif("ping", *PING, "--wait", wait, *arguments, TARGET)


class InfoTest(NeighbourTest):
    def test_info_says_nothing_and_leaves(self):
        acceptor = self.accept()
        for _ in range(5):
            info = self.start(MEMIF, "info", "--socket", self.socket)
            self.assert_exit(info, 0)
            self.assertIn("stranger", info.stdout)
        self.assert_alive(acceptor, visits=5)
        self.assertEqual(acceptor.heard, [[]] * 5)

    def test_info_of_what_is_no_memif(self):
        for greeting in (b"220 mail.example ESMTP", strangers.message(99), strangers.message(strangers.CONNECTED)):
            with self.subTest(greeting=greeting[:8]):
                self.socket.unlink(missing_ok=True)
                acceptor = self.accept(greeting=greeting)
                self.assert_no_peer(self.start(MEMIF, "info", "--socket", self.socket))
                self.assert_alive(acceptor)

    def test_info_stays_a_moment_for_a_late_greeting(self):
        acceptor = self.accept(delay=0.3)
        self.assert_no_peer(self.start(MEMIF, "info", "--socket", self.socket, "--wait", "100ms"), "said nothing in 100 ms")
        self.assert_alive(acceptor)

    def test_info_may_wait_for_ever(self):
        acceptor = self.accept(delay=0.3)
        info = self.start(MEMIF, "info", "--socket", self.socket, "--wait", "forever")
        self.assert_exit(info, 0)
        self.assertIn("stranger", info.stdout)
        self.assert_alive(acceptor)

    def test_info_connected_leaves_with_a_word(self):
        acceptor = self.accept()
        self.assert_exit(self.start(MEMIF, "info", "--socket", self.socket, "--connect"), 0)
        self.assert_alive(acceptor)
        self.assertEqual(acceptor.heard[0][-1], strangers.DISCONNECT)


class ClientTest(NeighbourTest):
    """A client that gives up, at each step it can."""

    def test_a_greeting_of_another_version(self):
        acceptor = self.accept(greeting=strangers.hello(version=0x0300))
        self.assert_no_peer(self.ping(), "version")
        self.assert_alive(acceptor)

    def test_a_greeting_that_is_none(self):
        acceptor = self.accept(greeting=b"220 mail.example ESMTP")
        self.assert_no_peer(self.ping(), "22 bytes")
        self.assert_alive(acceptor)

    def test_a_greeting_that_is_late(self):
        acceptor = self.accept(delay=0.3)
        self.assert_no_peer(self.ping(wait="100ms"))
        self.assert_alive(acceptor)

    def test_no_descriptors_for_the_rings(self):
        acceptor = self.accept()
        limited = 'ulimit -n 40; exec "$@"'
        client = self.start("sh", "-c", limited, "sh", MEMIF, "ping", "--socket", self.socket, "--queues", "64", *PING,
                            "--wait", "400ms", TARGET)  # fmt: skip
        self.assert_no_peer(client, "too many open files")
        self.assert_alive(acceptor)

    def test_a_server_that_refuses(self):
        acceptor = self.accept(refuses_init="mode mismatch")
        self.assert_no_peer(self.ping(), "mode mismatch")
        self.assert_alive(acceptor)

    def test_a_server_that_does_not_answer(self):
        acceptor = self.accept(acknowledges=False)
        self.assert_no_peer(self.ping())
        self.assert_alive(acceptor)

    def test_the_end_while_waiting_for_the_answer(self):
        for end in ("terminate", "kill"):
            with self.subTest(end=end):
                self.socket.unlink(missing_ok=True)
                acceptor = self.accept(acknowledges=False)
                client = self.ping(wait="forever")
                wait_until(lambda server=acceptor: server.talking(strangers.INIT), "INIT")
                getattr(client, end)()
                self.assert_alive(acceptor)


class ServerTest(NeighbourTest):
    """What our server says to others' clients."""

    def test_it_offers_all_rings_there_can_be(self):
        """Go clients take the highest index for a count."""
        self.respond(TARGET, role="server")
        greeting = self.client().receive()
        self.assertEqual(strangers.kind_of(greeting), strangers.HELLO)
        self.assertEqual(struct.unpack_from("<HHH", greeting, 38), (255, 255, 255))

    def test_it_says_how_many_rings_it_takes(self):
        """DPDK clients use rings that nobody refused them, whatever HELLO offered."""
        self.respond("--queues", "2", TARGET, role="server")
        client = self.client()
        client.receive()
        client.init()
        memory, event = os.memfd_create("rings", os.MFD_ALLOW_SEALING), os.eventfd(0)
        self.addCleanup(os.close, memory)
        self.addCleanup(os.close, event)
        os.ftruncate(memory, 4096)
        client.add_region(memory, 4096)
        for ring in (0, 1):
            self.assertEqual(strangers.kind_of(client.add_ring(1, ring, ring * 512, event)), strangers.ACK)
        refusal = client.add_ring(1, 2, 1024, event)
        self.assertEqual(strangers.kind_of(refusal), strangers.DISCONNECT)
        self.assertRegex(strangers.parse_disconnect(refusal), r"ring 2 .*: 2 from the client are accepted")

    def test_a_goodbye_before_init_is_shown(self):
        """Such as that of a Go client that finds nothing to its liking in HELLO."""
        server = self.memif("ping", *PING, "--wait", "3s", TARGET, role="server")
        self.listening(server)
        client = self.client()
        client.receive()
        client.say(strangers.disconnect("initializeRegions: addRegion: invalid argument"))
        server.wait_for_output("initializeRegions: addRegion: invalid argument; still waiting")
        self.assert_no_peer(server, "the peer says: initializeregions: addregion: invalid argument")

    def test_a_visitor_who_only_looks_is_no_reason(self):
        server = self.memif("ping", *PING, "--wait", "2s", TARGET, role="server")
        self.listening(server)
        self.assert_exit(self.start(MEMIF, "info", "--socket", self.socket), 0)
        self.assert_no_peer(server, "nobody connected")


class SurplusTest(NeighbourTest):
    """A client with more queues than its server."""

    def test_a_stranger_that_refuses_by_ring(self):
        acceptor = self.accept(rings=(2, 3), ring_words="Invalid ring index")
        client = self.memif("dump", "--tx-queues", "4", "--rx-queues", "5", "--wait", "10s")
        client.wait_for_output("takes 2 of our 4 queues to it, and 3 of 5 from it")
        wait_until(acceptor.connected.is_set, "the link")
        self.assertEqual(acceptor.rings_of_the_link, (2, 3))
        self.assertEqual(acceptor.deaths, [])
        self.assertNotIn("refused", client.stderr)

    def test_a_stranger_that_takes_none(self):
        acceptor = self.accept(rings=(0, 0), ring_words="Invalid ring index")
        self.assert_no_peer(self.ping("--queues", "4"), "invalid ring index")
        self.assert_alive(acceptor)

    def test_our_own_server(self):
        self.respond("--queues", "2", TARGET, role="server")
        self.assert_all_answered(
            self.memif("ping", "--source", "192.168.7.1/24", "-c", "10", "-i", "0", "--queues", "4", "--json", TARGET), 10
        )


if __name__ == "__main__":
    unittest.main()
