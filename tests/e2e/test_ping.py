"""memif ping against memif respond: two processes, every way of joining them."""

import json
import unittest

from raw_peer import RawClient
from support import E2ETest

COMMON = ("--wait", "10s", "--json")
FAST = ("-i", "0.01", *COMMON)
V4 = ("--source", "192.168.7.1/24")
V6 = ("--source", "fd00:7::1/64")


class PingTest(E2ETest):
    def exchange(self, responder_role, source, address, target, *, port=(), ping=(), count=20, interval="0.01"):
        """A responder in one role, a ping in the other: every request is answered."""
        ping_role = "client" if responder_role == "server" else "server"
        command = ("ping", *port, *source, "-c", count, "-i", interval, *COMMON, *ping, target)
        if responder_role == "server":
            self.respond(*port, address, role="server")
            pinger = self.memif(*command, role=ping_role)
        else:
            pinger = self.memif(*command, role=ping_role)
            self.listening(pinger)
            self.respond(*port, "--wait", "10s", address, role="client")
        return self.assert_all_answered(pinger, count)

    def test_client_pings_server(self):
        self.exchange("server", V4, "192.168.7.2/24", "192.168.7.2")

    def test_server_pings_client(self):
        self.exchange("client", V4, "192.168.7.2/24", "192.168.7.2")

    def test_client_pings_server_over_ipv6(self):
        self.exchange("server", V6, "fd00:7::2/64", "fd00:7::2")

    def test_server_pings_client_over_ipv6(self):
        self.exchange("client", V6, "fd00:7::2/64", "fd00:7::2")

    def test_ip_mode(self):
        self.exchange("server", V4, "192.168.7.2/24", "192.168.7.2", port=("--mode", "ip"))

    def test_ip_mode_over_ipv6_from_the_server(self):
        self.exchange("client", V6, "fd00:7::2/64", "fd00:7::2", port=("--mode", "ip"))

    def test_payload_of_9000_bytes_to_the_server(self):
        self.exchange("server", V4, "192.168.7.2/24", "192.168.7.2", ping=("--size", "9000"))

    def test_payload_of_9000_bytes_to_the_client(self):
        self.exchange("client", V4, "192.168.7.2/24", "192.168.7.2", ping=("--size", "9000"))

    def test_the_longest_packets_of_both_families_in_both_directions(self):
        for role in ("server", "client"):
            for source, address, size in ((V4, "192.168.7.2", 65507), (V6, "fd00:7::2", 65527)):
                with self.subTest(responder=role, size=size):
                    self.socket = self.dir / f"{role}{size}.sock"
                    self.exchange(role, source, f"{address}/24", address, ping=("--size", size), count=3)

    def test_also_in_the_smallest_buffers(self):
        port = ("--ring-size", "16384", "--buffer-size", "64")
        self.exchange("server", V6, "fd00:7::2/64", "fd00:7::2", ping=("--size", "65527", *port), count=3)

    def test_longer_ones_cannot_be(self):
        for source, target, size in ((V4, "192.168.7.2", 65508), (V6, "fd00:7::2", 65528)):
            ping = self.memif("ping", *source, "-s", size, target)
            self.assert_exit(ping, 2)
            self.assertIn(f"more than {size - 1}", ping.stderr)

    def test_what_the_whole_ring_does_not_hold_is_told(self):
        self.respond("192.168.7.2/24", role="server")
        ping = self.memif("ping", *V4, "-s", "20000", "--ring-size", "8", *FAST, "192.168.7.2")
        self.assert_exit(ping, 1)
        self.assertIn("ring of 8 buffers", ping.stderr)

    def test_smallest_payload(self):
        self.exchange("server", V4, "192.168.7.2/24", "192.168.7.2", ping=("--size", "0"))

    def test_more_pings_than_a_tiny_ring_has_slots(self):
        self.exchange("server", V4, "192.168.7.2/24", "192.168.7.2", port=("--ring-size", "2"), count=100)

    def test_largest_ring(self):
        self.exchange("client", V4, "192.168.7.2/24", "192.168.7.2", port=("--ring-size", "16384"))

    def test_several_queues(self):
        self.exchange("server", V4, "192.168.7.2/24", "192.168.7.2", port=("--queues", "4"))

    def test_small_buffers(self):
        self.exchange("client", V4, "192.168.7.2/24", "192.168.7.2", port=("--buffer-size", "64"))

    def test_1000_pings_a_second(self):
        self.exchange("server", V4, "192.168.7.2/24", "192.168.7.2", port=("--ring-size", "8"), count=1000,
                      interval="0.001")  # fmt: skip

    def test_abstract_socket(self):
        name = f"@{self.dir.name}"
        self.memif("respond", "192.168.7.2/24", socket=name, role="server")
        pinger = self.memif("ping", *V4, "-c", 5, *FAST, "192.168.7.2", socket=name)
        self.assert_all_answered(pinger, 5)

    def test_one_responder_has_both_families(self):
        self.respond("192.168.7.2/24", "fd00:7::2/64", role="server")
        self.assert_all_answered(self.memif("ping", *V4, "-c", 5, *FAST, "192.168.7.2"), 5)
        self.assert_all_answered(self.memif("ping", *V6, "-c", 5, *FAST, "fd00:7::2"), 5)

    def test_text_report(self):
        self.respond("192.168.7.2/24", role="server")
        pinger = self.memif("ping", *V4, "-c", 3, "-i", "0.01", "--wait", "10s", "192.168.7.2")
        self.assert_exit(pinger, 0)
        self.assertIn("192.168.7.2", pinger.stdout)
        self.assertIn("3", pinger.stdout)

    def assert_all_lost(self, ping, count, *words, not_sent=None):
        self.assert_exit(ping, 1)
        report = json.loads(ping.stdout)
        self.assert_documented(report)
        self.assertEqual((report["sent"], report["received"], report["lost"]), (count, 0, count))
        self.assertEqual(report["not_sent"], count if not_sent is None else not_sent)
        for word in words:
            self.assertIn(word, ping.stderr)

    def test_nobody_has_the_address(self):
        self.respond("192.168.7.2/24", "fd00:7::2/64", role="server")
        for source, target, asked in ((V4, "192.168.7.99", "ARP"), (V6, "fd00:7::99", "neighbor solicitations")):
            with self.subTest(target):
                ping = self.memif("ping", *source, "-c", 5, "-W", "0.2", *FAST, target)
                self.assert_all_lost(ping, 5, f"{target} does not answer {asked}: is it an address of the peer?")

    def test_an_address_of_another_network_is_told_of_and_asked_for(self):
        self.respond("10.9.9.9/24", "fd99::9/64", role="server")
        for source, target, other in ((V4, "10.9.9.9", "10.9.9.8"), (V6, "fd99::9", "fd99::8")):
            with self.subTest(target):
                ping = self.memif("ping", *source, "-c", 3, *FAST, target)
                self.assert_all_answered(ping, 3)
                self.assertIn(f"{target} is outside {source[1]}", ping.stderr)
                ping = self.memif("ping", *source, "-c", 3, "-W", "0.2", *FAST, other)
                self.assert_all_lost(ping, 3, f"it is outside {source[1]}, and ping knows no gateway")

    def test_a_peer_that_posts_no_buffers(self):
        for mode in ("ethernet", "ip"):
            with self.subTest(mode):
                self.socket = self.dir / f"{mode}.sock"
                ping = self.memif("ping", "--mode", mode, *V4, "-c", 5, "-W", "0.2", *FAST, "192.168.7.2", role="server")
                self.listening(ping)
                peer = RawClient(self.socket, mode=("ethernet", "ip").index(mode))
                self.addCleanup(peer.close)
                self.assert_all_lost(ping, 5, "the peer posts no buffers")

    def test_somebody_who_comes_to_have_the_address_is_found(self):
        ping = self.memif("ping", *V4, "-c", 40, "-i", "0.1", "-W", "0.5", *COMMON, "192.168.7.2", id=0)
        self.listening(self.helper("wire", self.socket))
        ping.wait_for_output("does not answer ARP")
        self.respond("--wait", "10s", "192.168.7.2/24", role="client", id=1)
        report = self.report(ping)
        self.assertGreater(report["received"], 0)
        self.assertEqual(report["lost"], report["not_sent"])


class TwoInterfacesTest(E2ETest):
    def test_two_ids_on_one_socket(self):
        # A helper listens for ids 0 and 1 on one socket and joins them like a wire.
        self.listening(self.helper("wire", self.socket))
        self.respond("--wait", "10s", "192.168.7.2/24", role="client", id=1)
        self.assert_all_answered(self.memif("ping", *V4, "-c", 20, *FAST, "192.168.7.2", id=0), 20)

    def test_an_unknown_id_is_refused(self):
        responder = self.respond("192.168.7.2/24", role="server", id=1)
        pinger = self.memif("ping", *V4, "-c", 1, "--wait", "2s", "192.168.7.2", id=7)
        self.assert_no_peer(pinger, "id")
        self.assertTrue(responder.running())
        self.assert_all_answered(self.memif("ping", *V4, "-c", 5, *FAST, "192.168.7.2", id=1), 5)


if __name__ == "__main__":
    unittest.main()
