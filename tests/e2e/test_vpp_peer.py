"""VPP as the peer, in both roles. It is not packaged: these tests run where MEMIF_VPP names a binary, see vpp.py."""

import os
import signal
import subprocess
import unittest

from support import MEMIF, wait_until
from test_bridge import REASON
from test_replay import read_capture, udp_frame, write_pcap
from vpp import INTERFACE, OTHER, OURS, OURS6, THEIRS, THEIRS6, VppTest

ROLES = ("server", "client")  # of VPP
RESPOND = ("respond", f"{OURS}/24")


class VppPing(VppTest):
    """Pings both ways: VPP answers ours, then we answer VPP's."""

    def test_server(self):
        self.both_ways("server", count=1000)

    def test_client(self):
        self.both_ways("client", count=1000)

    def test_client_without_zero_copy(self):
        self.both_ways("client", settings="no-zero-copy")

    def test_jumbo_packets_to_a_server(self):
        self.both_ways("server", ping=("--size", "8972"))

    def test_jumbo_packets_to_a_client(self):
        self.both_ways("client", ping=("--size", "8972"))

    def test_jumbo_packets_to_a_client_without_zero_copy(self):
        self.both_ways("client", settings="no-zero-copy", ping=("--size", "8972"))

    def test_ip_mode_with_a_server(self):
        self.both_ways("server", settings="mode ip", port=("--mode", "ip"))

    def test_ip_mode_with_a_client(self):
        self.both_ways("client", settings="mode ip", port=("--mode", "ip"))

    def over_ipv6(self, role):
        addresses = (f"{THEIRS6}/64",)
        ping = ("ping", "--wait", "20s", "-c", 200, "-i", "0.001", "--json", "--source", f"{OURS6}/64", THEIRS6)
        if role == "server":
            self.vpp.create(role, self.socket, addresses=addresses)
        pinger = self.ours(OTHER[role], *ping)
        if role == "client":
            self.vpp.create(role, self.socket, addresses=addresses)
        self.assert_all_answered(pinger, 200, timeout=60)
        self.vpp.wait_disconnected()
        self.ours(OTHER[role], "respond", f"{OURS6}/64")
        self.vpp.wait_connected()
        self.vpp.ping(OURS6)

    def test_ipv6_with_a_server(self):
        self.over_ipv6("server")

    def test_ipv6_with_a_client(self):
        self.over_ipv6("client")

    def test_small_rings_and_buffers(self):
        self.both_ways("server", port=("--ring-size", "8", "--buffer-size", "256"), ping=("--size", "1400"))

    def test_small_rings_and_buffers_of_a_client(self):
        self.both_ways("client", settings="ring-size 64 buffer-size 512 no-zero-copy", ping=("--size", "1400"))


class VppRxMode(VppTest):
    def each_mode(self, role):
        """VPP's rings in each of its modes, while ours wait in each of theirs."""
        if role == "server":
            self.vpp.create(role, self.socket)
        responder = self.ours(OTHER[role], *RESPOND)
        if role == "client":
            self.vpp.create(role, self.socket)
        self.vpp.wait_connected()
        self.assertEqual(responder.terminate(), 0, str(responder))
        for theirs in ("polling", "interrupt", "adaptive"):
            for ours in ("polling", "interrupt", "adaptive"):
                with self.subTest(theirs=theirs, ours=ours):
                    self.vpp.configure(f"set interface rx-mode {INTERFACE} {theirs}")
                    self.answered(role, "--rx-mode", ours)

    def test_server(self):
        self.each_mode("server")

    def test_client(self):
        self.each_mode("client")


class VppQueues(VppTest):
    def test_as_many_as_our_client_brings(self):
        self.vpp.create("server", self.socket, settings="rx-queues 4 tx-queues 4")
        for to_vpp, to_us in ((1, 1), (2, 2), (3, 3), (4, 4), (1, 4), (4, 1), (3, 2)):
            with self.subTest(to_vpp=to_vpp, to_us=to_us):
                port = ("--tx-queues", to_vpp, "--rx-queues", to_us)
                responder = self.ours("client", *RESPOND, *port)
                self.vpp.wait_connected()
                self.assertEqual(self.vpp.rings(), (to_vpp, to_us))
                self.vpp.ping(OURS)
                self.assertEqual(responder.terminate(), 0, str(responder))
                self.vpp.wait_disconnected()
                self.answered("server", *port)
                self.vpp.wait_disconnected()

    def of_vpps_client(self, to_us, to_vpp, *port):
        responder = self.ours("server", *RESPOND, *port)
        name = self.vpp.create("client", self.socket, settings=f"rx-queues {to_vpp} tx-queues {to_us}")
        self.vpp.wait_connected()
        self.assertEqual(self.vpp.rings(), (to_us, to_vpp))
        self.vpp.ping(OURS)
        self.assertEqual(responder.terminate(), 0, str(responder))
        self.vpp.wait_disconnected()
        self.answered("client", *port)
        self.vpp.configure(f"delete interface memif {name}")

    def test_as_many_as_vpps_client_brings(self):
        for to_us, to_vpp in ((1, 1), (2, 2), (3, 3), (4, 4), (1, 4), (4, 1), (3, 2)):
            with self.subTest(to_us=to_us, to_vpp=to_vpp):
                self.of_vpps_client(to_us, to_vpp)

    def test_as_many_as_are_asked_for(self):
        self.of_vpps_client(2, 3, "--rx-queues", "2", "--tx-queues", "3")


class VppInfo(VppTest):
    def test_info_again_and_again(self):
        self.vpp.create("server", self.socket)
        for _ in range(10):
            listener = self.report(self.memif("info", "--json"))["listener"]
            self.assertTrue(self.vpp.process.running(), str(self.vpp.process))
            self.assertEqual(listener["process"]["pid"], self.vpp.process.pid)
            self.assertRegex(listener["app_name"], "^VPP ")
        self.answered("server")

    def test_info_connects(self):
        self.vpp.create("server", self.socket)
        seen = self.report(self.memif("info", "--connect", "--json"))
        self.assertEqual(seen["peer"]["process"]["pid"], self.vpp.process.pid)
        self.answered("server")

    def test_info_while_another_uses_the_interface(self):
        self.vpp.create("server", self.socket)
        responder = self.ours("client", *RESPOND)
        self.vpp.wait_connected()
        self.report(self.memif("info", "--json"))
        self.vpp.ping(OURS)
        self.assertTrue(responder.running(), str(responder))


class VppRefusals(VppTest):
    def refused(self, *arguments, words=("secret",), **port):
        """Our client is refused by a VPP that goes on, and says why."""
        ping = self.memif("ping", "--source", f"{OURS}/24", "--wait", "2s", *arguments, THEIRS, **port)
        self.assert_no_peer(ping, *words)
        self.assertTrue(self.vpp.process.running(), str(self.vpp.process))

    def test_secrets_of_a_server(self):
        self.vpp.create("server", self.socket, settings="secret sesame")
        self.refused("--secret", "sesam")
        self.refused()
        self.answered("server", "--secret", "sesame")

    def test_a_secret_that_a_server_does_not_ask_for(self):
        self.vpp.create("server", self.socket)
        self.answered("server", "--secret", "sesame")

    def told(self, setting, reason):
        """VPP's client with that setting is refused by our server, and VPP shows the reason."""
        self.vpp.create("client", self.socket, settings=setting)
        wait_until(lambda: "remote-disc-reason" in self.vpp.show(), "a reason in show memif")
        self.assertIn(reason, self.vpp.show().lower())
        self.vpp.configure(f"delete interface memif {INTERFACE}")

    def test_secrets_of_a_client(self):
        responder = self.ours("server", *RESPOND, "--secret", "sesame")
        self.told("secret sesam", "secret")
        self.told("", "secret")
        self.vpp.create("client", self.socket, settings="secret sesame")
        self.vpp.wait_connected()
        self.vpp.ping(OURS)
        self.assertTrue(responder.running(), str(responder))

    def test_another_mode_and_another_id(self):
        self.vpp.create("server", self.socket)
        self.refused("--mode", "ip", words=("mode",))
        self.refused(id=7, words=())
        self.answered("server")

    def test_another_mode_of_a_client(self):
        self.ours("server", *RESPOND)
        self.told("mode ip", "mode")

    def test_a_second_client(self):
        self.vpp.create("server", self.socket)
        self.ours("client", *RESPOND)
        self.vpp.wait_connected()
        self.refused(words=())
        self.vpp.ping(OURS)


class VppChanges(VppTest):
    """What an operator does to the interface, and what happens to the processes."""

    def up(self, role):
        if role == "server":
            self.vpp.create(role, self.socket)
        responder = self.ours(OTHER[role], *RESPOND)
        if role == "client":
            self.vpp.create(role, self.socket)
        self.vpp.wait_connected()
        self.vpp.ping(OURS)
        return responder

    def down_and_up(self, role):
        responder = self.up(role)
        for _ in range(10):
            self.vpp.configure(f"set interface state {INTERFACE} down", f"set interface state {INTERFACE} up")
        self.vpp.wait_connected()
        self.vpp.ping(OURS)
        self.assertTrue(responder.running(), str(responder))

    def test_server_down_and_up(self):
        self.down_and_up("server")

    def test_client_down_and_up(self):
        self.down_and_up("client")

    def deleted_and_created(self, role):
        responder = self.up(role)
        for _ in range(5):
            self.vpp.configure(f"delete interface memif {INTERFACE}")
            self.vpp.create(role, self.socket)
            self.vpp.wait_connected()
            self.vpp.ping(OURS)
        self.assertTrue(responder.running(), str(responder))

    def test_server_deleted_and_created(self):
        self.deleted_and_created("server")

    def test_client_deleted_and_created(self):
        self.deleted_and_created("client")

    def killed(self, role):
        """VPP, then our end, by SIGKILL; the other finds its successor."""
        responder = self.up(role)
        self.vpp.process.kill()
        self.vpp.start()
        self.vpp.create(role, self.socket)
        self.vpp.wait_connected()
        self.vpp.ping(OURS)
        responder.kill()
        self.vpp.wait_disconnected()
        self.memif(*RESPOND, role=OTHER[role])
        self.vpp.wait_connected()
        self.vpp.ping(OURS)

    def test_server_is_killed(self):
        self.killed("server")

    def test_client_is_killed(self):
        self.killed("client")

    def test_reconnects_cost_nothing(self):
        self.up("server").terminate()
        self.vpp.wait_disconnected()
        fds = self.vpp.process.fds()
        for _ in range(20):
            self.answered("server", count=1)
        self.vpp.wait_disconnected()
        self.assertEqual(self.vpp.process.fds(), fds)


class VppGiveUp(VppTest):
    """Each side leaves in the middle of a handshake; the other goes on."""

    def test_our_client_runs_out_of_descriptors(self):
        self.vpp.create("server", self.socket)
        for limit in range(4, 24):
            client = self.start("prlimit", f"--nofile={limit}", MEMIF, "ping", "--socket", self.socket, "--source",
                                f"{OURS}/24", "-c", 1, "--wait", "500ms", THEIRS)  # fmt: skip
            client.wait()
            self.assertTrue(self.vpp.process.running(), f"VPP died at {client}")
        self.answered("server")

    def test_our_client_waits_in_vain_for_a_stopped_server(self):
        """Its visits are all that VPP finds when it goes on."""
        self.vpp.create("server", self.socket)
        self.vpp.process.popen.send_signal(signal.SIGSTOP)
        for arguments in (("ping", "--source", f"{OURS}/24", "-c", 1, "--wait", "1s", THEIRS), ("info", "--wait", "1s")):
            self.assert_exit(self.memif(*arguments), 3)
        killed = self.memif(*RESPOND)
        killed.wait_for_output("no peer yet", timeout=60)
        killed.kill()
        self.vpp.process.popen.send_signal(signal.SIGCONT)
        self.answered("server")

    def test_our_client_is_killed_at_any_moment(self):
        self.vpp.create("server", self.socket)
        for _ in range(30):
            client = self.memif(*RESPOND)
            client.wait_for_output("answering")  # it connects next
            client.kill()
            self.assertTrue(self.vpp.process.running(), str(self.vpp.process))
        self.answered("server")

    def test_vpps_client_finds_a_stopped_server_that_is_killed(self):
        stopped = self.ours("server", *RESPOND)
        stopped.popen.send_signal(signal.SIGSTOP)
        self.vpp.create("client", self.socket)
        wait_until(lambda: "connecting" in self.vpp.show(), f"VPP's attempt: {self.vpp.show()}")
        stopped.kill()
        wait_until(lambda: "connecting" not in self.vpp.show(), "the end of VPP's attempt")
        self.memif(*RESPOND, role="server")
        self.vpp.wait_connected()
        self.vpp.ping(OURS)

    def test_vpps_client_is_killed_within_the_handshake(self):
        responder = self.ours("server", *RESPOND)
        responder.popen.send_signal(signal.SIGSTOP)
        self.vpp.create("client", self.socket)
        wait_until(lambda: "connecting" in self.vpp.show(), f"VPP's attempt: {self.vpp.show()}")
        self.vpp.process.kill()
        responder.popen.send_signal(signal.SIGCONT)
        self.vpp.start()
        self.vpp.create("client", self.socket)
        self.vpp.wait_connected()
        self.vpp.ping(OURS)
        self.assertTrue(responder.running(), str(responder))


class VppCounts(VppTest):
    """Through `l2 xconnect`, nothing is lost, doubled or moved before another."""

    def test_from_a_client_to_a_server(self):
        names, report = self.across(("client", "server"))
        self.assertEqual(self.vpp.packets(names[0], "rx packets"), report["sent"])
        self.assertEqual(self.vpp.packets(names[1], "tx packets"), report["sent"])

    def test_from_a_server_to_a_client(self):
        self.across(("server", "client"))

    def test_from_a_server_to_a_server(self):
        self.across(("server", "server"), "--size", "imix")

    def test_from_a_client_to_a_client(self):
        self.across(("client", "client"), "--size", "imix")

    def test_without_zero_copy(self):
        self.across(("client", "client"), "--size", "imix", settings=("no-zero-copy", "no-zero-copy"))

    def test_jumbo_packets(self):
        self.across(("server", "client"), "--size", "9000", rate="5kpps")

    def test_two_queues_each_way(self):
        self.across(("server", "server"), ports=(",queues=2", ",queues=2"))

    def test_a_capture_arrives_byte_for_byte(self):
        frames = [udp_frame(i, 60 + i % 1400) for i in range(3000)]
        source, target = write_pcap(self.dir / "in.pcap", frames), self.dir / "out.pcapng"
        left, right = self.dir / "left.sock", self.dir / "right.sock"
        dump = self.memif("dump", "-c", len(frames), "-w", target, "udp port 9", socket=right,
                          role="server")  # fmt: skip
        self.listening(dump, right)
        names = [self.vpp.create("server", left, number=1, addresses=()),
                 self.vpp.create("client", right, number=2, addresses=())]  # fmt: skip
        self.vpp.configure(f"set interface l2 xconnect {names[0]} {names[1]}",
                           f"set interface l2 xconnect {names[1]} {names[0]}")  # fmt: skip
        self.vpp.wait_connected(names[1])
        self.report(self.memif("replay", "--json", "--pps", "5000", source, socket=left), timeout=60)
        self.assert_exit(dump, 0)
        self.assertTrue(read_capture(target) == frames, "what came is not what was sent")

    def test_what_the_packet_generator_makes(self):
        capture, frame = self.dir / "generated.pcapng", udp_frame(1, 100)
        self.vpp.create("server", self.socket)
        dump = self.memif("dump", "-c", 1000, "-w", capture, "udp port 9")
        self.vpp.wait_connected()
        self.vpp.configure(
            f"packet-generator new {{ name s limit 1000 rate 10000 size 100-100 node {INTERFACE}-output "
            f"data {{ hex 0x{frame.hex()} }} }}",
            "packet-generator enable-stream s",
        )
        self.assert_exit(dump, 0)
        self.assertTrue(read_capture(capture) == [frame] * 1000, "what came is not what was made")


@unittest.skipIf(REASON, REASON)
class VppNamespaces(VppTest):
    def setUp(self):
        super().setUp()
        self.namespace = f"mv{os.getpid()}"
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        self.addCleanup(subprocess.run, ["ip", "netns", "del", self.namespace], check=False)
        self.socket = f"abstract:{self.namespace},netns_name={self.namespace}"

    def listening(self, process, socket=None):
        """An abstract socket has no file: the table of the namespace that it is in has its name."""
        if not str(socket or self.socket).startswith("abstract:"):
            return super().listening(process, socket)

        def named():
            table = subprocess.run(["ip", "netns", "exec", self.namespace, "cat", "/proc/net/unix"],
                                   capture_output=True, text=True, check=True).stdout  # fmt: skip
            return f"@{self.namespace}" in table

        wait_until(named, f"{self.socket} of {process}")
        return process

    def test_server_in_another_namespace(self):
        self.both_ways("server")

    def test_client_that_finds_us_in_another_namespace(self):
        self.both_ways("client")

    def test_abstract_names_here(self):
        self.socket = f"abstract:{self.namespace}"
        self.vpp.create("server", self.socket)
        self.answered("server")


if __name__ == "__main__":
    unittest.main()
