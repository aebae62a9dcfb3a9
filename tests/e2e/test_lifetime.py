"""Peers that come, go and die: a responder stays what it was."""

import json
import os
import signal
import unittest

from support import MEMIF, E2ETest, wait_until
from test_replay import udp_frame, write_pcap

PING = ("--source", "192.168.7.1/24", "-c", "5", "-i", "0.005", "--wait", "10s", "--json")
TARGET = "192.168.7.2"
ADDRESS = "192.168.7.2/24"


class LifetimeTest(E2ETest):
    def setUp(self):
        super().setUp()
        self.responder = self.respond(ADDRESS, role="server")

    def ping(self):
        return self.assert_all_answered(self.memif("ping", *PING, TARGET), 5)

    def endless_ping(self):
        pinger = self.memif("ping", "--source", "192.168.7.1/24", "-i", "0.005", "--wait", "10s", TARGET)
        wait_until(self.responder.shared_mappings, "the link")
        return pinger

    def test_many_clients_leave_nothing_behind(self):
        # Each queue lets go of a link at its next call, so one link's worth of memory may stay.
        self.ping()
        descriptors, mappings = self.responder.fds(), self.responder.shared_mappings()
        for _ in range(20):
            self.ping()
        wait_until(lambda: self.responder.fds() <= descriptors, f"{descriptors} descriptors or fewer")
        wait_until(lambda: self.responder.shared_mappings() <= mappings, f"{mappings} mappings or fewer")

    def test_killed_client(self):
        self.endless_ping().kill()
        self.ping()

    def test_interrupted_client_ends_cleanly(self):
        pinger = self.endless_ping()
        os.kill(pinger.pid, signal.SIGINT)
        self.assert_exit(pinger, 0)
        self.ping()

    def test_killed_server_is_rejoined(self):
        client = self.memif("ping", "--source", "192.168.7.1/24", "-i", "0.005", "--wait", "10s", "--reconnect", TARGET)
        wait_until(self.responder.shared_mappings, "the first link")
        self.responder.kill()
        again = self.respond(ADDRESS, role="server")
        wait_until(again.shared_mappings, "the second link")
        self.assertEqual(client.terminate(), 0, str(client))

    def test_terminated_server_ends_cleanly_under_traffic(self):
        self.endless_ping()
        self.assertEqual(self.responder.terminate(), 0, str(self.responder))
        self.assertFalse(self.socket.exists())


class NoReturnTest(E2ETest):
    """A peer that was there, is waited for, and does not come again: exit code 3, and what was until then is told."""

    WAIT = "3s"  # for the first peer, too, which may take its time on a busy machine

    def assert_told(self, process, field, peer):
        peer.terminate()
        self.assert_no_peer(process, "within 3.00 s")
        self.assertGreater(json.loads(process.stdout)[field], 0)

    def test_ping(self):
        responder = self.respond(ADDRESS, role="server")
        ping = self.memif("ping", *PING[:2], "-i", "0.01", TARGET, "--reconnect", "--wait", self.WAIT)
        ping.wait_for_output("seq=1")
        responder.terminate()
        self.assert_no_peer(ping, "within 3.00 s")
        self.assertRegex(ping.stdout, r"[1-9]\d* sent, [1-9]\d* received")

    def test_replay(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(0)])
        dump = self.listening(self.memif("dump", role="server"))
        replay = self.memif("replay", "--pps", "100", "--loop", "0", "--reconnect", "--wait", self.WAIT, "--json", source)
        dump.wait_for_output("10.0.0.1")
        self.assert_told(replay, "sent", dump)

    def test_respond(self):
        respond = self.respond(ADDRESS, "--reconnect", "--wait", self.WAIT, "--json", role="server")
        ping = self.memif("ping", *PING[:2], TARGET)
        ping.wait_for_output("seq=1")
        self.assert_told(respond, "echo_replies", ping)


class HangUpTest(E2ETest):
    def test_a_terminal_that_closes_ends_a_command_in_order(self):
        respond = self.respond("192.168.7.2/24", "--json", role="server")
        respond.popen.send_signal(signal.SIGHUP)
        self.assertEqual(self.report(respond)["schema"], "memif-respond/1")
        self.assertFalse(self.socket.exists())

    def test_but_not_one_that_was_started_with_nohup(self):
        port = ("--socket", self.socket, "--role", "server", "192.168.7.2/24")
        respond = self.listening(self.start("sh", "-c", 'trap "" HUP; exec "$@"', "sh", MEMIF, "respond", *port))
        respond.popen.send_signal(signal.SIGHUP)
        ping = self.memif("ping", "--source", "192.168.7.1/24", "-c", "1", "--json", "192.168.7.2")
        self.assert_all_answered(ping, 1)


if __name__ == "__main__":
    unittest.main()
