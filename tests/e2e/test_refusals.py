"""What is refused, with which exit code and which words: secrets, modes, sockets."""

import socket
import unittest

from support import E2ETest

PING = ("--source", "192.168.7.1/24", "-c", "3", "-i", "0.01")
TARGET = "192.168.7.2"
ADDRESS = "192.168.7.2/24"


class SecretTest(E2ETest):
    def setUp(self):
        super().setUp()
        self.responder = self.respond("--secret", "sesame", ADDRESS, role="server")

    def test_right_secret(self):
        self.assert_all_answered(self.memif("ping", *PING, "--secret", "sesame", "--json", TARGET), 3)

    def test_secret_from_a_file(self):
        file = self.dir / "secret"
        file.write_text("sesame\n", encoding="ascii")
        self.assert_all_answered(self.memif("ping", *PING, "--secret-file", file, "--json", TARGET), 3)

    def test_wrong_secret(self):
        self.assert_no_peer(self.memif("ping", *PING, "--secret", "sesam", "--wait", "2s", TARGET), "secret")
        self.assertTrue(self.responder.running())

    def test_missing_secret(self):
        self.assert_no_peer(self.memif("ping", *PING, "--wait", "2s", TARGET), "secret")
        self.assertTrue(self.responder.running())

    def test_right_secret_after_a_wrong_one(self):
        self.assert_no_peer(self.memif("ping", *PING, "--secret", "no", "--wait", "2s", TARGET), "secret")
        self.assert_all_answered(self.memif("ping", *PING, "--secret", "sesame", "--json", TARGET), 3)


class PeerTest(E2ETest):
    def test_no_peer(self):
        pinger = self.memif("ping", *PING, "--wait", "300ms", TARGET)
        self.assert_no_peer(pinger, str(self.socket).lower())

    def test_server_that_nobody_joins(self):
        pinger = self.memif("ping", *PING, "--wait", "300ms", TARGET, role="server")
        self.assert_no_peer(pinger)
        self.assertFalse(self.socket.exists())

    def test_mode_mismatch(self):
        self.respond("--mode", "ip", ADDRESS, role="server")
        self.assert_no_peer(self.memif("ping", *PING, "--wait", "2s", TARGET), "mode")

    def test_interface_in_use(self):
        self.respond(ADDRESS, role="server")
        first = self.memif("ping", "--source", "192.168.7.1/24", "-c", "500", "-i", "0.01", TARGET)
        first.wait_for_output("seq=1 ")
        second = self.memif("ping", *PING, "--wait", "1s", TARGET)
        self.assert_no_peer(second)
        self.assert_exit(first, 0)
        self.assertIn("500 sent, 500 received", first.stdout)


class SocketTest(E2ETest):
    def test_stale_socket_is_replaced(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
            dead.bind(str(self.socket))
        self.respond(ADDRESS, role="server")
        self.assert_all_answered(self.memif("ping", *PING, "--wait", "10s", "--json", TARGET), 3)

    def test_live_socket_is_not_stolen(self):
        self.respond(ADDRESS, role="server")
        thief = self.memif("respond", "192.168.7.3/24", role="server")
        self.assertNotEqual(thief.wait(), 0, str(thief))
        self.assertIn(str(self.socket), thief.stderr)
        self.assert_all_answered(self.memif("ping", *PING, "--wait", "10s", "--json", TARGET), 3)

    def test_a_file_in_the_way_stays(self):
        self.socket.write_text("precious", encoding="ascii")
        responder = self.memif("respond", ADDRESS, role="server")
        self.assertNotEqual(responder.wait(), 0, str(responder))
        self.assertEqual(self.socket.read_text(encoding="ascii"), "precious")

    def test_socket_file_goes_with_its_server(self):
        responder = self.respond(ADDRESS, role="server")
        self.assertEqual(responder.terminate(), 0, str(responder))
        self.assertFalse(self.socket.exists())


class UsageTest(E2ETest):
    def test_unknown_subcommand(self):
        self.assert_exit(self.memif("pong"), 2)

    def test_ping_without_a_target(self):
        self.assert_exit(self.memif("ping", *PING), 2)

    def test_ring_size_that_is_no_power_of_two(self):
        self.assert_exit(self.memif("ping", *PING, "--ring-size", "1000", TARGET), 2)

    def test_address_that_is_none(self):
        self.assert_exit(self.memif("ping", "--source", "192.168.7.300/24", TARGET), 2)


if __name__ == "__main__":
    unittest.main()
