"""memif bridge --pool: frames between memifs change places instead of being copied."""

import json
import os
import signal
import unittest

from support import MEMIF, E2ETest, wait_until

WAIT = ("--wait", "20s")
TARGET, OTHER_TARGET = "10.9.0.2", "10.9.0.3"


class PoolTest(E2ETest):
    """Peers that are servers, each on a socket of its own, and a bridge that is the client of all."""

    def place(self, name):
        return self.dir / f"{name}.sock"

    def word(self, name):
        return f"memif:{self.place(name)},role=client,reconnect=20ms"

    def bridge(self, *names, pool=True, more=()):
        return self.start(MEMIF, "bridge", *(["--pool"] if pool else []), "--json", *map(self.word, names), *more)

    def responder(self, name, address):
        return self.respond(f"{address}/24", *WAIT, "--reconnect", role="server", socket=self.place(name))

    def ping(self, *arguments, name="a", source="10.9.0.1/24", target=TARGET, count=200, interval="0.001"):
        ping = self.memif("ping", *WAIT, "-c", count, "-i", interval, "--json", "--source", source, *arguments,
                          target, role="server", socket=self.place(name))  # fmt: skip
        return self.listening(ping, self.place(name))

    def totals(self, bridge):
        self.assertEqual(bridge.terminate(), 0, str(bridge))
        report = json.loads(bridge.stdout)
        self.assert_documented(report)
        return report["ports"]

    def assert_nothing_copied(self, ports):
        """What a peer sends by itself while the other's link is down is dropped."""
        for port in ports:
            self.assertGreater(port["tx_packets"], 0)
            self.assertEqual(port["tx_exchanged"], port["tx_packets"], port)
            self.assertEqual(port["rx_dropped"], 0, port)


class BridgePoolTest(PoolTest):
    def test_pings_of_all_sizes_pass_without_a_copy(self):
        self.responder("b", TARGET)
        bridge = self.bridge("a", "b")
        for size in (56, 1400, 8972):
            with self.subTest(size=size):
                self.assert_all_answered(self.ping("--size", size), 200, timeout=60)
        ports = self.totals(bridge)
        self.assert_nothing_copied(ports)
        self.assertEqual([port["tx_bytes"] for port in ports], [port["rx_bytes"] for port in reversed(ports)])

    def test_without_the_option_frames_are_copied(self):
        self.responder("b", TARGET)
        bridge = self.bridge("a", "b", pool=False)
        self.assert_all_answered(self.ping(), 200)
        for port in self.totals(bridge):
            self.assertGreater(port["tx_packets"], 0)
            self.assertEqual(port["tx_exchanged"], 0)

    def test_no_packet_of_many_is_lost_or_changed(self):
        bridge = self.bridge("a", "b")
        ports = [word for name in "ab" for word in ("--port", f"memif:{self.place(name)},role=server")]
        perf = self.start(MEMIF, "perf", *ports, *WAIT, "--rate", "20kpps", "--time", "1s", "--json")
        report = self.report(perf, timeout=60)
        self.assertGreater(report["sent"], 0)
        self.assertEqual((report["received"], report["lost"]), (report["sent"], 0), str(perf))
        self.assertEqual((report["foreign"], report["out_of_order"]), (0, 0), str(perf))
        self.assertGreaterEqual(sum(port["tx_exchanged"] for port in self.totals(bridge)), report["sent"])

    def test_rings_and_buffers_may_differ(self):
        self.responder("b", TARGET)
        bridge = self.start(MEMIF, "bridge", "--pool", "--json", self.word("a") + ",ring=16,buffer=1024",
                            self.word("b") + ",ring=256,buffer=256")  # fmt: skip
        # One at a time: the first ring holds one of them.
        self.assert_all_answered(self.ping("--size", 8972, interval="0"), 200)
        self.assert_nothing_copied(self.totals(bridge))

    def test_ports_that_are_no_memif_get_copies(self):
        capture = self.dir / "seen.pcap"
        self.responder("b", TARGET)
        bridge = self.bridge("a", "b", more=[f"pcap:out={capture}"])
        self.assert_all_answered(self.ping(), 200)
        first, second, written = self.totals(bridge)
        self.assertGreaterEqual(first["tx_exchanged"], 200)
        self.assertGreaterEqual(second["tx_exchanged"], 200)
        self.assertGreater(written["tx_packets"], 0, "the first ARP request is for all")
        self.assertEqual(written["tx_exchanged"], 0)
        self.assertGreater(capture.stat().st_size, 24)

    def test_a_peer_killed_with_buffers_in_its_hands_disturbs_no_other(self):
        self.responder("b", TARGET)
        victim = self.responder("c", OTHER_TARGET)
        bridge = self.bridge("a", "b", "c")
        self.assert_all_answered(self.ping(target=OTHER_TARGET), 200)
        victim.popen.send_signal(signal.SIGSTOP)  # with all that is posted to it, and what is flooded from now on
        ping = self.ping(count=3000)
        wait_until(lambda: bridge.stderr.count("/a.sock id 0: the link is up") == 2, "the link of the second ping")
        victim.kill()
        bridge.wait_for_output("/c.sock id 0: the link is down")
        self.assertTrue(ping.running(), "the peer was to be killed while the others' traffic passes")
        self.assert_all_answered(ping, 3000, timeout=60)
        os.unlink(self.place("c"))
        self.responder("c", OTHER_TARGET)
        self.assert_all_answered(self.ping(target=OTHER_TARGET), 200)
        self.assertGreater(self.totals(bridge)[1]["tx_exchanged"], 0)

    def test_links_come_and_go_as_often_as_they_like(self):
        """What a link has taken out of the pool comes back with it."""
        self.responder("b", TARGET)
        bridge = self.bridge("a", "b")
        for _ in range(12):
            self.assert_all_answered(self.ping(count=20), 20)
        self.assert_nothing_copied(self.totals(bridge))

    def refused(self, code, *arguments):
        bridge = self.start(MEMIF, "bridge", "--pool", *arguments)
        self.assert_exit(bridge, code)
        return bridge.stderr

    def test_a_server_cannot_share(self):
        said = self.refused(2, self.word("a"), f"memif:{self.place('b')},role=server")
        self.assertIn("b.sock id 0 is a server, whose buffers are its client's", said)
        self.assertFalse(self.place("b").exists())

    def test_one_memif_has_nobody_to_share_with(self):
        said = self.refused(2, self.word("a"), f"pcap:out={self.dir / 'seen.pcap'}")
        self.assertIn("only two memif ports or more can share buffers", said)
        self.assertFalse((self.dir / "seen.pcap").exists())

    def test_a_pool_that_would_be_too_large(self):
        said = self.refused(2, self.word("a") + ",ring=8192,buffer=128KiB", self.word("b"))
        self.assertIn("--pool: buffers", said)


class BridgePoolTimingTest(PoolTest):
    def test_round_trip_compared_with_copying(self):
        """In turns, so that whatever else the machine does befalls both."""
        self.responder("b", TARGET)
        p50 = {True: [], False: []}
        for _ in range(3):
            for pool in (True, False):
                bridge = self.bridge("a", "b", pool=pool)
                report = self.assert_all_answered(self.ping("--size", 1400, count=1000), 1000, timeout=60)
                p50[pool].append(report["p50_us"])
                self.assertEqual(bridge.terminate(), 0)
        exchanged, copied = (sorted(p50[pool])[1] for pool in (True, False))
        print(f"ping of 1400 bytes, p50: exchanged {exchanged} us, copied {copied} us, ratio {exchanged / copied:.3f}")
        self.assertLess(exchanged, 10 * copied)


if __name__ == "__main__":
    unittest.main()
