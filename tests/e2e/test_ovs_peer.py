"""OVS-DPDK as the peer: a switch between two memifs, one of each role; what passes it uses both.

With one forwarding thread, a port of OVS has two transmit queues, and it sends on the second. Its receive queues are one,
or as many as `n_rxq` says."""

import json
import unittest

from ovs import OvsTest
from support import wait_until
from test_bridge import REASON
from test_replay import read_capture, udp_frame, write_pcap

# A first packet goes through the slow path of the switch, which other tests may keep from the processor for long.
PING = ("--source", "192.168.7.1/24", "--wait", "60s", "-W", "15s", "--json", "-i", "0.001")
ADDRESS, TARGET = "192.168.7.2/24", "192.168.7.2"
TWO = ("options:n_rxq=2",)


class OvsRestarts(OvsTest):
    """What happens to ports with these settings; the tests' classes say how the command joins them."""

    def restart_the_switch(self, *settings):
        self.supervise()
        responder, server = self.client("respond", ADDRESS), self.server("respond", "192.168.7.3/24")
        self.add_port("left", "server", *settings)
        self.add_port("right", "client", *settings)
        for process in (responder, server):
            process.wait_for_output("the link is up")
        self.restart_switch()
        wait_until(lambda: all(p.stderr.count("the link is up") >= 2 for p in (responder, server)), "both links again")
        server.terminate()
        pinger = self.server("ping", *PING, "-c", 200, TARGET)
        self.replace_port("right", "client", *settings)
        self.assert_all_answered(pinger, 200, timeout=60)

    def restart_both_ends(self, *settings):
        self.supervise()
        server = self.server("respond", ADDRESS)
        self.add_port("left", "server", *settings)
        self.add_port("right", "client", *settings)
        for _ in range(3):
            self.assert_all_answered(self.client("ping", *PING, "-c", 50, TARGET), 50, timeout=60)
            client = self.client("respond", "192.168.7.3/24")
            client.wait_for_output("the link is up")
            client.kill()
        server.kill()
        leftover = self.path("right").stat().st_ino
        self.server("respond", ADDRESS)
        wait_until(lambda: self.path("right").stat().st_ino != leftover, "a socket of the new server's own")
        self.replace_port("right", "client", *settings)
        self.assert_all_answered(self.client("ping", *PING, "-c", 50, TARGET), 50, timeout=60)


@unittest.skipIf(REASON, REASON)
class OvsPortTest(OvsRestarts):
    """`left` is a server of OVS, which our client joins; `right` a client of OVS, whose server we are. Each has as many
    queues as its peer."""

    def client(self, subcommand, *arguments, queues=("--queues", "2")):
        return self.memif(subcommand, *queues, *arguments, socket=self.path("left"))

    def server(self, subcommand, *arguments):
        process = self.memif(subcommand, "--queues", "2", *arguments, role="server", socket=self.path("right"))
        return self.listening(process, self.path("right"))

    def answered(self, pinger, count):
        self.assert_all_answered(pinger, count, timeout=60)

    def test_pings_of_a_client(self):
        self.server("respond", ADDRESS)
        self.add_port("left", "server", *TWO)
        self.add_port("right", "client", *TWO)
        self.answered(self.client("ping", *PING, "-c", 500, TARGET), 500)

    def test_pings_of_a_server(self):
        self.add_port("left", "server", *TWO)
        self.client("respond", ADDRESS)
        pinger = self.server("ping", *PING, "-c", 500, TARGET)
        self.add_port("right", "client", *TWO)
        self.answered(pinger, 500)

    def test_rings_of_other_sizes(self):
        sizes = (*TWO, "options:n_rxq_desc=512", "options:n_txq_desc=256")
        server = self.server("respond", "--json", ADDRESS)
        self.add_port("left", "server", *sizes)
        self.add_port("right", "client", *sizes)
        self.answered(self.client("ping", "--ring-size", "128", *PING, "-c", 500, TARGET), 500)
        self.assertEqual(server.terminate(), 0, str(server))
        self.assertEqual(json.loads(server.stdout)["echo_replies"], 500)

    def test_all_packets_of_a_capture_pass_in_order(self):
        frames = [udp_frame(i, 64 + i % 1400) for i in range(2000)]
        source, target = write_pcap(self.dir / "in.pcap", frames), self.dir / "out.pcapng"
        dump = self.server("dump", "--wait", "60s", "-c", len(frames), "-w", target, "udp port 9")
        self.add_port("left", "server")
        self.add_port("right", "client")
        replay = self.client("replay", "--json", "--wait", "60s", "--pps", "2000", source, queues=())
        self.report(replay, timeout=60)
        self.assert_exit(dump, 0)
        self.assertTrue(read_capture(target) == frames, "what came is not what was sent")

    def test_the_switch_is_killed_and_started_again(self):
        self.restart_the_switch(*TWO)

    def test_both_ends_are_killed_and_started_again(self):
        self.restart_both_ends(*TWO)


@unittest.skipIf(REASON, REASON)
class OvsDefaultPortTest(OvsRestarts):
    """Ports without options: a server of the command takes what they bring, a client asks for what they have."""

    def client(self, subcommand, *arguments):
        return self.memif(subcommand, "--rx-queues", "2", "--tx-queues", "1", *arguments, socket=self.path("left"))

    def server(self, subcommand, *arguments):
        process = self.memif(subcommand, *arguments, role="server", socket=self.path("right"))
        return self.listening(process, self.path("right"))

    def test_pings_of_a_client(self):
        self.server("respond", ADDRESS)
        self.add_port("left", "server")
        self.add_port("right", "client")
        self.assert_all_answered(self.client("ping", *PING, "-c", 500, TARGET), 500, timeout=60)

    def test_pings_of_a_server(self):
        self.add_port("left", "server")
        self.client("respond", ADDRESS)
        pinger = self.server("ping", *PING, "-c", 500, TARGET)
        self.add_port("right", "client")
        self.assert_all_answered(pinger, 500, timeout=60)

    def test_the_switch_is_killed_and_started_again(self):
        self.restart_the_switch()

    def test_both_ends_are_killed_and_started_again(self):
        self.restart_both_ends()


if __name__ == "__main__":
    unittest.main()
