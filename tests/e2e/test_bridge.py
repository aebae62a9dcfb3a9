"""memif bridge between network namespaces: pings and iperf3 through it, and what it says when it cannot."""

import json
import os
import re
import subprocess
import unittest

from support import MEMIF, E2ETest, wait_until

SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17


def sh(*command, check=True):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=check, timeout=120)


def why_no_namespaces():
    if os.geteuid() != 0:
        return "network namespaces need root"
    probe = sh("unshare", "-n", "true", check=False)
    if probe.returncode != 0:
        return f"unshare is refused: {probe.stderr.strip()}"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    return None


REASON = why_no_namespaces()


@unittest.skipIf(REASON, REASON)
class NamespaceTest(E2ETest):
    def setUp(self):
        super().setUp()
        self.tag = f"mb{os.getpid()}"

    def namespace(self, name):
        full = f"{self.tag}{name}"
        sh("ip", "netns", "add", full)
        self.addCleanup(sh, "ip", "netns", "del", full, check=False)
        sh("ip", "-n", full, "link", "set", "lo", "up")
        return full

    def bridge(self, *ports, options=()):
        return self.start(MEMIF, "bridge", *options, *ports)

    def veth(self, left, right):
        """A cable between two namespaces: v0 in one, v1 in the other."""
        sh("ip", "-n", left, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", right)
        sh("ip", "-n", left, "link", "set", "v0", "up")
        sh("ip", "-n", right, "link", "set", "v1", "up")

    def ping(self, namespace, address, count=3):
        """Until the first answer; then `count` pings, all of which must be answered."""
        def answered():
            return sh("ip", "netns", "exec", namespace, "ping", "-c", 1, "-W", 1, address, check=False).returncode == 0
        wait_until(answered, f"a ping of {address} from {namespace}")
        result = sh("ip", "netns", "exec", namespace, "ping", "-c", count, "-i", "0.05", "-W", 2, address)
        self.assertIn(f"{count} received", result.stdout)

    def iperf3(self, client, server, address, amount=("-t", 1)):
        """Megabits a second, TCP, in one second unless an amount is given."""
        listener = self.start("ip", "netns", "exec", server, "iperf3", "-s", "-1", "--forceflush")
        listener.wait_for_output("Server listening")
        result = sh("ip", "netns", "exec", client, "iperf3", "-c", address, *amount, "-J", check=False)
        self.assertEqual(result.returncode, 0, result.stdout)
        return json.loads(result.stdout)["end"]["sum_received"]["bits_per_second"] / 1e6

    def totals(self, process):
        """The ports of the final report of a bridge that is asked to end."""
        self.assertEqual(process.terminate(), 0, str(process))
        report = json.loads(process.stdout)
        self.assert_documented(report)
        self.assertEqual(report["kind"], "total")
        return report["ports"]

    def joined(self, left, right):
        """TAP, memif, memif, TAP: two bridges that join two namespaces."""
        return (
            self.bridge(f"tap:t0,address=10.9.0.1/24,netns={left}", f"memif:{self.socket},role=server",
                        options=["--json"]),
            self.bridge(f"tap:t0,address=10.9.0.2/24,netns={right}", f"memif:{self.socket},role=client"),
        )  # fmt: skip


class TapBridgeTest(NamespaceTest):
    def test_ping_and_totals(self):
        left, right = self.namespace("a"), self.namespace("b")
        first, second = self.joined(left, right)
        self.ping(left, "10.9.0.2")
        tap, memif = self.totals(first)
        self.assertGreaterEqual(tap["rx_packets"], 3)
        self.assertGreaterEqual(memif["rx_packets"], 3)
        self.assertGreater(tap["rx_bytes"], tap["rx_packets"] * 14)
        self.assertEqual(second.terminate(), 0, str(second))

    def test_tap_goes_with_the_bridge(self):
        left, right = self.namespace("a"), self.namespace("b")
        first, _ = self.joined(left, right)
        self.ping(left, "10.9.0.2", 1)
        self.assertEqual(sh("ip", "-n", left, "link", "show", "t0").returncode, 0)
        self.assertEqual(first.terminate(), 0, str(first))
        self.assertNotEqual(sh("ip", "-n", left, "link", "show", "t0", check=False).returncode, 0)

    def test_iperf3_compared_with_a_veth_pair(self):
        left, right = self.namespace("a"), self.namespace("b")
        self.veth(left, right)
        sh("ip", "-n", left, "addr", "add", "10.8.0.1/24", "dev", "v0")
        sh("ip", "-n", right, "addr", "add", "10.8.0.2/24", "dev", "v1")
        self.joined(left, right)
        self.ping(left, "10.9.0.2", 1)
        self.ping(left, "10.8.0.2", 1)
        bridged = self.iperf3(left, right, "10.9.0.2")
        cable = self.iperf3(left, right, "10.8.0.2")
        print(f"iperf3: bridge {bridged:.0f} Mbit/s, veth {cable:.0f} Mbit/s, ratio {bridged / cable:.3f}")
        self.assertGreater(bridged, 0)

    def test_peers_see_segments_of_the_mtu_with_right_checksums(self):
        left, right = self.namespace("a"), self.namespace("b")
        here, there, capture = self.dir / "a.sock", self.dir / "b.sock", self.dir / "passed.pcapng"
        first = self.bridge(f"tap:t0,address=10.9.0.1/24,netns={left}", f"memif:{here},role=server",
                            options=["--json"])  # fmt: skip
        self.bridge(f"tap:t0,address=10.9.0.2/24,netns={right}", f"memif:{there},role=server")
        dump = self.start(MEMIF, "dump", "--between", f"memif:{here},role=client,reconnect",
                          f"memif:{there},role=client,reconnect", "-w", capture)  # fmt: skip
        self.ping(left, "10.9.0.2", 1)
        # A second of it would be more than tshark reads in a minute.
        self.iperf3(left, right, "10.9.0.2", amount=("-n", "8M"))
        tap, _ = self.totals(first)
        dump.terminate()
        frames = sh("tshark", "-n", "-r", capture, "-Y", "tcp.len > 0", "-o", "tcp.check_checksum:TRUE", "-o",
                    "ip.check_checksum:TRUE", "-T", "fields", "-e", "frame.len", "-e", "tcp.checksum.status", "-e",
                    "ip.checksum.status").stdout.split("\n")[:-1]  # fmt: skip
        self.assertGreater(len(frames), 10)
        self.assertGreaterEqual(tap["rx_packets"], len(frames) // 2)
        for frame in frames:
            length, *checksums = frame.split("\t")
            self.assertLessEqual(int(length), 1514)
            self.assertEqual(checksums, ["1", "1"])

    def test_offload_can_be_switched_off(self):
        left, right = self.namespace("a"), self.namespace("b")
        self.bridge(f"tap:t0,address=10.9.0.1/24,netns={left},offload=no",
                    f"tap:t0,address=10.9.0.2/24,netns={right},offload=no")  # fmt: skip
        self.ping(left, "10.9.0.2", 1)
        self.assertGreater(self.iperf3(left, right, "10.9.0.2"), 0)

    def test_mtu_and_mac(self):
        left, right = self.namespace("a"), self.namespace("b")
        self.bridge(f"tap:t0,address=10.9.0.1/24,netns={left},mtu=9000,mac=02:00:00:00:00:07",
                    f"tap:t0,address=10.9.0.2/24,netns={right},mtu=9000")  # fmt: skip
        self.ping(left, "10.9.0.2", 1)
        shown = sh("ip", "-n", left, "link", "show", "t0").stdout
        self.assertRegex(shown, r"mtu 9000")
        self.assertRegex(shown, r"02:00:00:00:00:07")
        sh("ip", "netns", "exec", left, "ping", "-c", 1, "-W", 5, "-M", "do", "-s", 8900, "10.9.0.2")

    def test_vxlan_carries_a_memif(self):
        left, right = self.namespace("a"), self.namespace("b")
        self.veth(left, right)
        for namespace, device, here, there in ((left, "v0", 1, 2), (right, "v1", 2, 1)):
            sh("ip", "-n", namespace, "addr", "add", f"10.8.0.{here}/24", "dev", device)
            sh("ip", "-n", namespace, "link", "add", "vx", "type", "vxlan", "id", 7, "dstport", 4789,
               "local", f"10.8.0.{here}", "remote", f"10.8.0.{there}")  # fmt: skip
            made = sh("ip", "-n", namespace, "link", "add", "lan0", "type", "bridge", check=False)
            if "Unknown device type" in made.stderr or "not supported" in made.stderr:
                self.skipTest(f"this kernel makes no bridge device: {made.stderr.strip()}")
            self.assertEqual(made.returncode, 0, made.stderr)
            sh("ip", "-n", namespace, "link", "set", "vx", "master", "lan0")
            socket_path = self.dir / f"{device}.sock"
            bridge = self.bridge(f"tap:t0,mtu=1450,netns={namespace}", f"memif:{socket_path},role=server")
            self.listening(bridge, socket_path)
            sh("ip", "-n", namespace, "link", "set", "t0", "master", "lan0")
            for link in ("vx", "lan0"):
                sh("ip", "-n", namespace, "link", "set", link, "up")
        self.respond("192.168.7.2/24", socket=self.dir / "v1.sock")
        ping = self.memif("ping", "--source", "192.168.7.1/24", "-c", "3", "-i", "0.05", "--json", "192.168.7.2",
                          socket=self.dir / "v0.sock")  # fmt: skip
        self.assert_all_answered(ping, 3)


class SwitchBridgeTest(NamespaceTest):
    def test_three_namespaces_and_a_capture(self):
        names = [self.namespace(letter) for letter in "abc"]
        capture = self.dir / "out.pcap"
        taps = [f"tap:t0,address=10.9.0.{i + 1}/24,netns={name}" for i, name in enumerate(names)]
        bridge = self.bridge(*taps, f"pcap:out={capture}", options=["--json"])
        for name, address in ((names[0], "10.9.0.2"), (names[1], "10.9.0.3"), (names[2], "10.9.0.1")):
            self.ping(name, address)
        self.assertEqual(self.totals(bridge)[3]["tx_dropped"], 0)
        shown = sh("tcpdump", "-nr", capture).stdout
        self.assertRegex(shown, "who-has 10.9.0.2")  # flooded
        self.assertNotRegex(shown, "ICMP echo reply")  # both addresses were known

    def test_a_stopped_port_does_not_stop_the_others(self):
        left, right = self.namespace("a"), self.namespace("b")
        bridge = self.bridge(f"tap:t0,address=10.9.0.1/24,netns={left}", f"tap:t0,address=10.9.0.2/24,netns={right}",
                             f"memif:{self.socket},role=server", options=["--json"])  # fmt: skip
        self.listening(bridge)
        dump = self.memif("dump", "-w", self.dir / "stopped.pcapng", "--ring-size", "4")
        bridge.wait_for_output("the link is up")
        dump.popen.send_signal(19)  # SIGSTOP
        for _ in range(3):  # floods to the third port, which has room for 4 frames
            sh("ip", "netns", "exec", left, "ping", "-b", "-c", 10, "-i", "0.01", "-W", 1, "10.9.0.255", check=False)
        self.ping(left, "10.9.0.2")
        memif = self.totals(bridge)[2]
        self.assertGreater(memif["tx_dropped"], 0)

    def test_capture_is_replayed(self):
        left, right = self.namespace("a"), self.namespace("b")
        first, second = self.dir / "first.pcap", self.dir / "second.pcap"
        recorder = self.bridge(f"tap:t0,address=10.9.0.1/24,netns={left}", f"pcap:out={first}")
        wait_until(lambda: sh("ip", "-n", left, "addr", "show", "t0", check=False).returncode == 0, "the TAP")
        sh("ip", "netns", "exec", left, "ping", "-c", 2, "-W", 1, "10.9.0.2", check=False)
        self.assertEqual(recorder.terminate(), 0, str(recorder))
        replay = self.bridge(f"pcap:in={first},pace=top", f"pcap:out={second}", options=["--time", "1s"])
        self.assert_exit(replay, 0)
        frames = [re.sub(r"^\S+ ", "", line) for line in sh("tcpdump", "-nr", first).stdout.splitlines()]
        again = [re.sub(r"^\S+ ", "", line) for line in sh("tcpdump", "-nr", second).stdout.splitlines()]
        self.assertTrue(frames)
        self.assertEqual(frames, again)
        self.assertTrue(right)


class XdpBridgeTest(NamespaceTest):
    def setUp(self):
        super().setUp()
        self.left, self.right = self.namespace("a"), self.namespace("b")
        self.veth(self.left, self.right)
        sh("ip", "-n", self.left, "addr", "add", "10.8.0.1/24", "dev", "v0")

    def without_checksum_offload(self):
        """A veth leaves checksums to a receiver that AF_XDP is not."""
        code = (
            "import array,fcntl,socket,struct\n"
            f"value = array.array('B', struct.pack('II', {ETHTOOL_STXCSUM}, 0))\n"
            "request = struct.pack('16sP', b'v0', value.buffer_info()[0])\n"
            f"fcntl.ioctl(socket.socket(), {SIOCETHTOOL}, request)\n"
        )
        sh("ip", "netns", "exec", self.left, "python3", "-c", code)

    def xdp(self, mode):
        bridge = self.bridge(f"xdp:v1,netns={self.right},mode={mode}",
                             f"tap:t0,address=10.8.0.2/24,netns={self.right}", options=["--json"])  # fmt: skip
        wait_until(lambda: "AF_XDP" in bridge.stderr or not bridge.running(), "the AF_XDP port")
        if not bridge.running():
            bridge.wait()
        if "built without AF_XDP" in bridge.stderr or "CONFIG_XDP_SOCKETS" in bridge.stderr:
            self.skipTest(bridge.stderr.strip())
        return bridge

    def test_ping_and_iperf3_through_a_veth(self):
        self.without_checksum_offload()
        bridge = self.xdp("copy")
        self.ping(self.left, "10.8.0.2")
        speed = self.iperf3(self.left, self.right, "10.8.0.2")
        print(f"iperf3: AF_XDP on a veth to a TAP, {speed:.0f} Mbit/s")
        self.assertGreater(speed, 0)
        self.assertGreater(self.totals(bridge)[0]["rx_packets"], 3)
        self.assertNotIn("xdp", sh("ip", "-n", self.right, "link", "show", "v1").stdout)

    def test_zero_copy_that_the_driver_has_not(self):
        bridge = self.xdp("zero-copy")
        self.assert_exit(bridge, 1)
        for words in ("AF_XDP on v1 queue 0", "no zero-copy", "mode=copy"):
            self.assertIn(words, bridge.stderr)


class BridgeUsageTest(E2ETest):
    def test_one_port_is_wrong_usage(self):
        self.assert_exit(self.start(MEMIF, "bridge", "memif:@x"), 2)

    def test_wrong_word_is_wrong_usage_before_anything_is_made(self):
        bridge = self.start(MEMIF, "bridge", f"memif:{self.socket},role=server", "tap:a/b")
        self.assert_exit(bridge, 2)
        self.assertIn("tap:a/b", bridge.stderr)
        self.assertFalse(self.socket.exists())

    def test_no_peer_in_time(self):
        bridge = self.start(MEMIF, "bridge", f"memif:{self.socket},wait=100ms", f"pcap:out={self.dir / 'o.pcap'}")
        self.assert_no_peer(bridge, "100 ms")

    def test_no_such_capture(self):
        bridge = self.start(MEMIF, "bridge", f"pcap:in={self.dir / 'none'}", f"pcap:out={self.dir / 'o.pcap'}")
        self.assert_exit(bridge, 1)
        self.assertIn("none", bridge.stderr)

    @unittest.skipIf(os.geteuid() != 0, "only root can give up CAP_NET_ADMIN")
    def test_tap_without_cap_net_admin(self):
        bridge = self.start("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin",
                            MEMIF, "bridge", "tap:mbnocap0", f"pcap:out={self.dir / 'o.pcap'}")  # fmt: skip
        self.assert_exit(bridge, 1)
        self.assertIn("CAP_NET_ADMIN", bridge.stderr)


class FragmentsTest(NamespaceTest):
    """The kernel has an MTU: long pings and their answers come from it in fragments."""

    ADDRESSES = (("192.168.7.1/24", "192.168.7.2"), ("fd00:7::1/64", "fd00:7::2"))

    def kernel(self):
        """A namespace with the two second addresses, behind a memif server."""
        namespace = self.namespace("k")
        tap = f"tap:t0,netns={namespace},mtu=1500," + ",".join(f"address={own}/{net.split('/')[1]}" for net, own in
                                                                self.ADDRESSES)  # fmt: skip
        self.listening(self.bridge(f"memif:{self.socket},role=server", tap))
        # An address that is still being checked for doubles (IPv6) is not answered for.
        show = ("ip", "-n", namespace, "address", "show", "t0")
        wait_until(lambda: (out := sh(*show, check=False).stdout) and "tentative" not in out, "addresses")
        return namespace

    def test_answers_in_fragments_are_put_together(self):
        self.kernel()
        for source, target in self.ADDRESSES:
            with self.subTest(target):
                ping = self.memif("ping", "--source", source, "-c", "5", "-i", "0.02", "-s", "5000", "--json", target)
                self.assert_all_answered(ping, 5)

    def test_requests_in_fragments_are_answered(self):
        namespace = self.kernel()
        sources = [source for source, _ in self.ADDRESSES]
        responder = self.memif("respond", *sources, "--json")
        for source in sources:
            address = source.split("/")[0]
            self.ping(namespace, address)
            result = sh("ip", "netns", "exec", namespace, "ping", "-s", 5000, "-c", 5, "-i", "0.05", "-W", 2, address)
            self.assertIn("5 received", result.stdout)
        self.assertEqual(responder.terminate(), 0, str(responder))
        self.assertGreaterEqual(json.loads(responder.stdout)["echo_replies"], 10)


if __name__ == "__main__":
    unittest.main()
