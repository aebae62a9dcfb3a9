"""memif bridge when things go wrong around it: peers that vanish, ports that are full, names that are taken, missing
capabilities. And that it forgets addresses."""

import json
import signal
import unittest

from support import MEMIF, wait_until
from test_bridge import REASON, NamespaceTest, sh
from test_replay import udp_frame, write_pcap


def ping(namespace, address, count=1, interval=1.0):
    """Whether any answer came."""
    return sh("ip", "netns", "exec", namespace, "ping", "-c", count, "-i", interval, "-W", 1, address,
              check=False).returncode == 0  # fmt: skip


@unittest.skipIf(REASON, REASON)
class BridgeTroubleTest(NamespaceTest):
    def taps(self, *namespaces, **settings):
        extra = "".join(f",{key}={value}" for key, value in settings.items())
        return [f"tap:t0,address=10.9.0.{i + 1}/24,netns={name}{extra}" for i, name in enumerate(namespaces)]

    def test_memif_peer_is_killed_and_returns(self):
        left, right = self.namespace("a"), self.namespace("b")
        here, there = self.taps(left, right)
        first = self.bridge(here, f"memif:{self.socket},role=server", options=["--json"])
        for _ in range(3):
            second = self.bridge(f"{there},mac=02:00:00:00:00:02", f"memif:{self.socket},role=client")
            wait_until(lambda: ping(left, "10.9.0.2"), "an answer through the new link")
            second.kill()
        wait_until(lambda: first.stderr.count("the link is down") == 3, "the last link's end")
        tap, memif = self.totals(first)
        self.assertTrue(tap["up"])
        self.assertFalse(memif["up"])

    def test_memif_server_returns(self):
        left, right = self.namespace("a"), self.namespace("b")
        here, there = self.taps(left, right)
        client = self.bridge(here, f"memif:{self.socket},role=client,reconnect=50ms")
        for _ in range(2):
            server = self.bridge(f"{there},mac=02:00:00:00:00:02", f"memif:{self.socket},role=server")
            wait_until(lambda: ping(left, "10.9.0.2"), "an answer through the new link")
            server.kill()
        self.assertEqual(client.terminate(), 0, str(client))

    def test_a_port_that_floods_leaves_the_others_their_turns(self):
        left, right = self.namespace("a"), self.namespace("b")
        bridge = self.bridge(*self.taps(left, right), f"memif:{self.socket},role=server", options=["--json"])
        self.listening(bridge)
        capture = write_pcap(self.dir / "flood.pcap", [udp_frame(i) for i in range(200)])
        flood = self.memif("replay", "--topspeed", "--loop", "0", capture)
        bridge.wait_for_output("the link is up")
        for _ in range(20):
            wait_until(lambda: ping(left, "10.9.0.2"), "an answer beside the flood")
        self.assertTrue(flood.running(), str(flood))
        flood.terminate()
        report = {port["name"].split(":")[0]: port for port in self.totals(bridge)}
        self.assertGreater(report["memif"]["rx_packets"], 200)

    def test_an_address_that_is_not_seen_is_forgotten(self):
        left, right = self.namespace("a"), self.namespace("b")
        for name in (left, right):  # which would say something unasked
            sh("ip", "netns", "exec", name, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
        capture = self.dir / "flooded.pcap"
        bridge = self.bridge(*self.taps(left, right), f"pcap:out={capture}", options=["--age", "100ms"])
        wait_until(lambda: ping(left, "10.9.0.2"), "an answer")
        self.assertTrue(ping(left, "10.9.0.2", count=3, interval=0.5))  # each after the last was forgotten
        self.assertEqual(bridge.terminate(), 0, str(bridge))
        self.assertRegex(sh("tcpdump", "-nr", capture).stdout, "ICMP echo request")

    def test_ctrl_c_ends_with_totals_and_removes_the_socket(self):
        name = self.namespace("a")
        bridge = self.bridge(*self.taps(name), f"memif:{self.socket},role=server", options=["--json", "-i", "20ms"])
        self.listening(bridge)
        bridge.wait_for_output('"interval"')
        bridge.popen.send_signal(signal.SIGINT)
        self.assert_exit(bridge, 0)
        lines = [json.loads(line) for line in bridge.stdout.splitlines()]
        self.assertEqual([line["kind"] for line in lines], ["interval"] * (len(lines) - 1) + ["total"])
        self.assert_documented(lines[0])
        self.assertFalse(self.socket.exists())

    def test_names_that_are_taken(self):
        name = self.namespace("a")
        first = self.bridge(*self.taps(name), f"memif:{self.socket},role=server")
        self.listening(first)
        again = self.bridge(*self.taps(name), f"pcap:out={self.dir / 'o.pcap'}")
        self.assert_exit(again, 1)
        self.assertIn("t0: Device or resource busy (another program has it)", again.stderr)
        other = self.bridge(f"tap:lo,netns={name}", f"pcap:out={self.dir / 'o.pcap'}")
        self.assert_exit(other, 1)
        self.assertRegex(other.stderr, r"TAP interface lo: .*another kind of interface")
        self.assertTrue(first.running())

    def test_mtu_that_cannot_be(self):
        name = self.namespace("a")
        for mtu in (67, 65522, "1e3"):
            bridge = self.bridge(*self.taps(name, mtu=mtu), f"pcap:out={self.dir / 'o.pcap'}")
            self.assert_exit(bridge, 2)
            self.assertIn("mtu", bridge.stderr)
        self.assertNotIn("t0", sh("ip", "-n", name, "link").stdout)

    def test_frames_longer_than_the_other_ports_mtu(self):
        left, right = self.namespace("a"), self.namespace("b")
        here, there = self.taps(left, right)
        self.bridge(here + ",mtu=9000", there + ",mtu=1500")
        wait_until(lambda: ping(left, "10.9.0.2"), "an answer")
        sh("ip", "netns", "exec", left, "ping", "-c", 1, "-W", 1, "-M", "do", "-s", 8000, "10.9.0.2", check=False)
        self.assertTrue(ping(left, "10.9.0.2"), "the long frame went wrong for the others, too")

    def test_namespace_that_is_not_there(self):
        bridge = self.bridge(f"tap:t0,netns={self.tag}none", f"pcap:out={self.dir / 'o.pcap'}")
        self.assert_exit(bridge, 1)
        self.assertIn("ip netns list", bridge.stderr)

    def without(self, capability, *ports):
        return self.start("unshare", "-n", "setpriv", "--bounding-set", f"-{capability}", "--inh-caps",
                          f"-{capability}", MEMIF, "bridge", *ports)  # fmt: skip

    def test_namespace_without_cap_sys_admin(self):
        bridge = self.without("sys_admin", f"tap:t0,netns={self.namespace('a')}", f"pcap:out={self.dir / 'o.pcap'}")
        self.assert_exit(bridge, 1)
        self.assertIn("CAP_SYS_ADMIN", bridge.stderr)

    def test_interface_without_cap_net_raw(self):
        bridge = self.without("net_raw", "xdp:lo", f"pcap:out={self.dir / 'o.pcap'}")
        self.assert_exit(bridge, 1)
        if "built without AF_XDP" in bridge.stderr:
            self.skipTest(bridge.stderr)
        self.assertRegex(bridge.stderr, r"lo queue 0: .*CAP_NET_RAW")

    def test_interface_that_is_not_there(self):
        bridge = self.start("unshare", "-n", MEMIF, "bridge", "xdp:none0", f"pcap:out={self.dir / 'o.pcap'}")
        self.assert_exit(bridge, 1)
        if "built without AF_XDP" in bridge.stderr:
            self.skipTest(bridge.stderr)
        self.assertRegex(bridge.stderr, r"none0 .*no such interface")


if __name__ == "__main__":
    unittest.main()
