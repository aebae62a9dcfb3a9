"""memif perf's packets: their flows, tags and checksums as tcpdump sees them, through the kernel as a router, and found
again whatever happened to them."""

import subprocess
import unittest

from support import MEMIF, E2ETest
from test_bridge import REASON, NamespaceTest, sh
from test_replay import write_pcap

SHORT = ("--time", "300ms", "--json")


class PerfFlows(E2ETest):
    def captured(self, count, *arguments):
        """What memif perf sends first, in a file and in tcpdump's words."""
        path = self.dir / "sent.pcapng"
        dump = self.listening(self.memif("dump", "-q", "-c", count, "-w", path, role="server"))
        perf = self.memif("perf", "--time", "20s", "--rate", "1kpps", *arguments)
        self.assert_exit(dump, 0)
        perf.kill()
        self.socket.unlink(missing_ok=True)
        lines = subprocess.run(["tcpdump", "-envvr", path], capture_output=True, text=True, check=True).stdout
        return path, lines

    def pairs(self, path, *fields):
        words = [word for field in fields for word in ("-e", field)]
        text = subprocess.run(["tshark", "-r", path, "-T", "fields", *words], capture_output=True, text=True, check=True)
        return [tuple(line.split("\t")) for line in text.stdout.splitlines()]

    def test_a_mesh_sends_from_each_source_to_each_destination(self):
        path, _ = self.captured(24, "--source", "10.0.0.1-10.0.0.3", "--destination", "10.1.0.1-10.1.0.2",
                                "--destination-port", "7-8")  # fmt: skip
        seen = self.pairs(path, "ip.src", "ip.dst", "udp.dstport")
        expected = [(f"10.0.0.{s}", f"10.1.0.{d}", str(p)) for p in (7, 8) for d in (1, 2) for s in (1, 2, 3)]
        self.assertEqual(seen, 2 * expected)

    def test_random_flows_are_the_same_for_the_same_seed(self):
        words = ("--source", "10.0.0.0/16", "--destination", "10.1.0.0/16", "--flows", "5000", "--pattern", "random", "--seed")
        seen = [self.pairs(self.captured(50, *words, seed)[0], "ip.src", "ip.dst") for seed in (7, 7, 8)]
        self.assertEqual(seen[0], seen[1])
        self.assertNotEqual(seen[0], seen[2])
        self.assertGreater(len(set(seen[0])), 45)

    def test_each_host_has_its_mac_address(self):
        path, _ = self.captured(6, "--source", "10.0.0.1-10.0.0.3", "--source-mac",
                                "02:00:00:00:01:01-02:00:00:00:01:03", "--destination-mac", "02:00:00:00:02:00")  # fmt: skip
        seen = self.pairs(path, "eth.src", "ip.src", "eth.dst")
        for mac, address, to in seen:
            self.assertEqual((mac[-1], to), (address[-1], "02:00:00:00:02:00"))

    def test_tags_are_those_of_the_option(self):
        for vlan, words in (("10", "vlan 10,"), ("100.10", "vlan 100, p 0, ethertype 802.1Q (0x8100), vlan 10,")):
            with self.subTest(vlan):
                _, text = self.captured(3, "--vlan", vlan, "--size", "80")
                self.assertEqual(text.count(words), 3, text)
                self.assertEqual(text.count("198.18.0.1.9 > 198.19.0.1.9: [no cksum] UDP, length"), 3, text)

    def test_checksums_are_right_with_ipv6_in_buffers_of_any_size(self):
        for words in ((), ("--size", "1000"), ("--size", "90,1000"), ("--size", "1000", "--buffer-size", "128")):
            with self.subTest(words):
                _, text = self.captured(40, "--source", "fd00::1-fd00::3", "--destination", "fd01::/120", *words)
                self.assertEqual(text.count("[udp sum ok]"), 40, text)

    def test_packets_are_found_whatever_tags_they_lost(self):
        path, _ = self.captured(100, "--vlan", "100.10", "--size", "100")
        plain = self.dir / "plain.pcap"
        subprocess.run(["editcap", "-F", "pcap", str(path), str(plain)], check=True)
        data = plain.read_bytes()
        frames = [data[at + 16 : at + 116] for at in range(24, len(data), 116)]
        self.assertEqual([frame[12:14] for frame in frames], 100 * [b"\x88\xa8"])
        # As they are, without one tag, without any, and in turn.
        stripped = [frame[:12] + frame[(12, 16, 20)[i % 3 if i >= 60 else i // 20] :] for i, frame in enumerate(frames)]
        write_pcap(plain, stripped)
        perf = self.listening(self.memif("perf", "--receive", "--json", "--interval", "0", role="server"))
        self.assert_exit(self.memif("replay", "--topspeed", plain), 0)
        report = self.report(perf)
        self.assertEqual((report["received"], report["foreign"], report["lost"]), (100, 0, 0))

    def test_flows_arrive_whole_on_several_queues(self):
        for words in (("--vlan", "10"), ("--source", "fd00::/112", "--destination", "fd01::1", "--flows", "999"),
                      ("--pattern", "pairs", "--source", "10.0.0.1-10.0.0.7", "--size", "100,900")):  # fmt: skip
            with self.subTest(words):
                ports = (f"memif:{self.socket},role=server,queues=2", f"memif:{self.socket},role=client")
                size = () if "--size" in words else ("--size", "100")
                report = self.report(
                    self.start(MEMIF, "perf", "--port", ports[0], "--port", ports[1], *SHORT, *size, *words)
                )
                self.assertGreater(report["sent"], 0)
                self.assertEqual((report["received"], report["lost"]), (report["sent"], 0))
                self.assertEqual((report["foreign"], report["duplicates"], report["out_of_order"]), (0, 0, 0))

    def test_wrong_usage_is_told(self):
        for words in (
            ("--source", "10.0.0.1/24"),
            ("--source", "fd00::1"),
            ("--source", "10.0.0.9-10.0.0.1"),
            ("--source-port", "0"),
            ("--source-mac", "01:00:00:00:00:00"),
            ("--vlan", "4095"),
            ("--vlan", "1.2.3"),
            ("--vlan", "1."),
            ("--gateway", "fd00::1"),
            ("--gateway", "host"),
            ("--pattern", "star"),
            ("--mode", "ip", "--vlan", "1"),
            ("--size", "64", "--vlan", "1"),
        ):
            with self.subTest(words):
                process = self.memif("perf", *words, "--wait", "10ms")
                self.assert_exit(process, 2)
                self.assertIn(words[0] if words[0] != "--mode" else "--vlan", process.stderr)

    def test_more_flows_than_there_is_memory_for_are_refused(self):
        process = self.memif("perf", "--source", "10.0.0.0/8", "--wait", "10ms")
        self.assert_exit(process, 2)
        self.assertIn("16777214 flows are more than 1048576", process.stderr)

    def test_a_gateway_that_does_not_answer_ends_it(self):
        self.listening(self.memif("perf", "--receive", "--destination", "10.0.0.2", role="server"))
        process = self.memif("perf", "--source", "10.0.0.1", "--destination", "10.0.1.1", "--gateway", "10.0.0.9")
        self.assert_exit(process, 1)
        self.assertIn("10.0.0.9 does not answer ARP", process.stderr)

    def test_a_gateway_is_found_by_arp_and_by_neighbor_discovery(self):
        for source, gateway in (("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")):
            with self.subTest(gateway):
                receiver = self.listening(
                    self.memif("perf", "--receive", "--json", "--vlan", "7", "--source", source, "--destination", gateway,
                               "--destination-mac", "02:00:00:00:00:77", role="server")
                )  # fmt: skip
                perf = self.memif("perf", *SHORT, "--rate", "1kpps", "--vlan", "7", "--source", source, "--destination",
                                  gateway, "--gateway", gateway)  # fmt: skip
                self.assertGreater(self.report(perf)["sent"], 0)
                received = self.report(receiver)
                self.assertGreaterEqual(received["foreign"], 1)  # the question
                self.assertEqual(received["lost"], 0)


@unittest.skipIf(REASON, REASON)
class PerfThroughTheKernel(NamespaceTest):
    """The kernel of a network namespace as a router between two TAPs, which bridges join to memifs."""

    def router(self, *networks):
        space = self.namespace("r")
        sh("ip", "netns", "exec", space, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
           "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")  # fmt: skip
        sockets = []
        for i, address in enumerate(networks):
            sockets.append(self.dir / f"{i}.sock")
            self.listening(
                self.bridge(f"tap:t{i},address={address},netns={space}", f"memif:{sockets[-1]},role=server"), sockets[-1]
            )
        return space, sockets

    def perf(self, sockets, *words):
        ports = [f"memif:{socket},role=client" for socket in sockets]
        process = self.start(MEMIF, "perf", "--port", ports[0], "--port", ports[1], "--time", "1s", "--json", "--warm-up",
                             "500ms", *words)  # fmt: skip
        return self.report(process)

    def test_both_ways_through_a_router(self):
        space, sockets = self.router("10.7.0.1/24", "10.7.1.1/24")
        report = self.perf(
            sockets, "--both", "--rate", "400pps,200pps", "--source", "10.7.0.101-10.7.0.104", "--destination",
            "10.7.1.101-10.7.1.103", "--source-mac", "02:00:00:00:01:01-02:00:00:00:01:04", "--gateway",
            "10.7.0.1,10.7.1.1",
        )  # fmt: skip
        self.assertEqual(report["test"], "both_ways")
        for direction, rate in zip(report["directions"], (400, 200)):
            self.assertAlmostEqual(direction["sent"], rate, delta=rate / 5)
            self.assertEqual((direction["lost"], direction["duplicates"], direction["out_of_order"]), (0, 0, 0))
            self.assertGreater(direction["latency"]["samples"], 0)
        neighbors = sh("ip", "-n", space, "neigh", "show", "dev", "t0").stdout
        for i in range(1, 5):
            self.assertRegex(neighbors, rf"10\.7\.0\.10{i} lladdr 02:00:00:00:01:0{i} ")

    def test_ipv6_through_a_router(self):
        _, sockets = self.router("fd07::1/64", "fd08::1/64")
        report = self.perf(sockets, "--rate", "300pps", "--source", "fd07::101-fd07::103", "--destination",
                           "fd08::101-fd08::102", "--gateway", "fd07::1")  # fmt: skip
        self.assertGreater(report["sent"], 200)
        self.assertEqual(report["lost"], 0)

    def test_the_kernel_pings_its_addresses(self):
        space, sockets = self.router("10.7.0.1/24")
        perf = self.start(MEMIF, "perf", "--socket", sockets[0], "--rate", "1pps", "--time", "30s", "--source",
                          "10.7.0.101-10.7.0.104")  # fmt: skip
        self.ping(space, "10.7.0.103")
        self.assertEqual(perf.terminate(), 0, str(perf))


if __name__ == "__main__":
    unittest.main()
