"""The memif command and DPDK's testpmd at the other end, in both roles."""

import contextlib
import functools
import io
import os
import socket
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/e2e"))

import scapy.all as scapy  # noqa: E402
from support import E2ETest  # noqa: E402

import memif  # noqa: E402
from memif.scapy import MemifSocket  # noqa: E402

scapy.conf.verb = 0
EXAMPLES = Path(__file__).resolve().parents[2] / "examples/python"
ME, PEER = "02:00:00:00:00:01", "02:fe:00:00:00:02"
ARP = scapy.Ether(src=ME, dst="ff:ff:ff:ff:ff:ff") / scapy.ARP(psrc="192.168.7.1", pdst="192.168.7.2", hwsrc=ME)


def other(role):
    return {"client": "server", "server": "client"}[role]


def in_both_roles(test):
    @functools.wraps(test)
    def run(self):
        for role in ("server", "client"):
            with self.subTest(role=role):
                self.socket = self.dir / f"{role}.sock"
                test(self, role)

    return run


class Peers(E2ETest):
    def port(self, role, **keywords):
        port = memif.Interface(self.socket, role=role, **keywords)
        self.addCleanup(port.close)
        return port

    def beside(self, role, start):
        """Our port, and the peer that start(role) starts, whichever has to be first."""
        if role == "server":
            port = self.port(role)
            start("client")
        else:
            start("server")
            port = self.port(role)
        port.wait_connected(20.0)
        return port


class Command(Peers):
    @in_both_roles
    def test_respond_answers_us(self, role):
        port = self.beside(role, lambda peer: self.respond("192.168.7.2/24", role=peer))
        request = ARP
        self.assertEqual(port.tx[0].send([bytes(request)], timeout=5.0), 1)
        with port.rx[0].receive(timeout=10.0) as burst:
            self.assertEqual(scapy.Ether(bytes(burst[0]))[scapy.ARP].op, 2)

    @in_both_roles
    def test_ping_is_answered_by_the_example(self, role):
        self.start(sys.executable, EXAMPLES / "responder.py", self.socket, "192.168.7.2", role)
        # A responder in Python shares its processor with other tests.
        ping = self.memif("ping", "--source", "192.168.7.1/24", "--wait", "20s", "-W", "15s", "--json", "-c", "50",
                          "-i", "0.005", "192.168.7.2", role=other(role))  # fmt: skip
        self.assert_all_answered(ping, 50, timeout=60)

    def test_the_rfc2544_example_finds_a_rate(self):
        ports = [f"memif:@{os.getpid()},role={role}" for role in ("server", "client")]
        options = ["--time", "0.05s", "--sizes", "64", "--precision", "0.5"]
        search = self.start(sys.executable, EXAMPLES / "rfc2544.py", *options, *ports)
        self.assert_exit(search, 0, timeout=60)
        self.assertRegex(search.stdout, r"^ +64 bytes +[\d,]+ packets/s$")

    def test_the_gateway_example_carries_packets_both_ways(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            address = free.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            udp.settimeout(20)
            gateway = [sys.executable, EXAMPLES / "gateway.py", self.socket, f"127.0.0.1:{address[1]}"]
            self.start(*gateway, f"127.0.0.1:{udp.getsockname()[1]}")
            port = self.port("client", reconnect=0.05).wait_connected(20.0)
            self.assertEqual(port.tx[0].send([b"out"]), 1)
            self.assertEqual(udp.recvfrom(100), (b"out", address))
            udp.sendto(b"in", address)
            self.assertEqual(port.rx[0].receive_bytes(timeout=20.0), [b"in"])


class Testpmd(Peers):
    @in_both_roles
    def test_txonly(self, role):
        port = self.beside(role, lambda peer: self.dpdk("txonly", peer, "--txpkts=64"))
        seen = 0
        while seen < 20000:
            with port.rx[0].receive(timeout=20.0) as burst:
                self.assertTrue(burst)
                self.assertEqual({len(view) for view in burst}, {64})
                seen += len(burst)
        port.close()

    @in_both_roles
    def test_macswap(self, role):
        port = self.beside(role, lambda peer: self.dpdk("macswap", peer, "--no-flush-rx"))
        frames = [bytes.fromhex("020000000001020000000002") + b"\x88\xb5" + i.to_bytes(46, "big") for i in range(500)]
        got = []
        for i in range(0, 500, 50):
            self.assertEqual(port.tx[0].send(frames[i : i + 50], timeout=10.0), 50)
            while len(got) < i + 50:
                packets = port.rx[0].receive_bytes(timeout=20.0)
                self.assertTrue(packets)
                got += packets
        self.assertEqual([frame[12:] for frame in got], [frame[12:] for frame in frames])
        self.assertEqual({frame[:12] for frame in got}, {frames[0][6:12] + frames[0][:6]})
        port.close()

    @in_both_roles
    def test_scapy_asks_icmpecho(self, role):
        socket = MemifSocket(interface=self.beside(role, lambda peer: self.dpdk("icmpecho", peer, "--no-flush-rx")))
        answers, unanswered = socket.sr(
            [scapy.Ether(src=ME, dst=PEER) / scapy.IP(src="10.0.0.1", dst="10.0.0.2") / scapy.ICMP(seq=i) for i in range(5)],
            timeout=20,
        )
        self.assertEqual((len(answers), len(unanswered)), (5, 0))
        socket.interface.close()

    def test_the_example_that_tests_testpmd(self):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "memif.pytest_plugin", "-p", "no:cacheprovider"]
        tests = self.start(*command, EXAMPLES / "test_testpmd.py")
        self.assert_exit(tests, 0, timeout=100)
        self.assertIn("1 passed", tests.stdout)

    def test_rxonly_takes_what_we_send(self):
        port = self.beside("server", lambda peer: self.dpdk("rxonly", peer))
        self.assertEqual(port.tx[0].send([b"\x02" * 60] * 20000, timeout=30.0), 20000)


class Scapy(Peers):
    """With the memif command at the other end; and joined to itself."""

    def sockets(self, **keywords):
        a, b = memif.pair(**keywords)
        self.addCleanup(a.close)
        self.addCleanup(b.close)
        return MemifSocket(interface=a), MemifSocket(interface=b)

    @in_both_roles
    def test_sr1_and_srp_in_both_roles(self, role):
        port = self.beside(role, lambda peer: self.respond("192.168.7.2/24", role=peer))
        socket = MemifSocket(interface=port)
        mac = socket.sr1(ARP, timeout=20)[scapy.ARP].hwsrc
        echo = scapy.Ether(src=ME, dst=mac) / scapy.IP(src="192.168.7.1", dst="192.168.7.2") / scapy.ICMP() / b"hello"
        self.assertEqual(socket.sr1(echo, timeout=20)[scapy.ICMP].type, 0)
        answers, _ = scapy.srp([echo, echo], iface=socket.iface, timeout=20)
        self.assertEqual(len(answers), 2)
        self.assertFalse(port.closed)
        with self.assertRaises(scapy.Scapy_Exception):
            scapy.sniff(iface=socket.iface, filter="arp")
        echo[scapy.IP].dst = "192.168.7.99"
        self.assertIsNone(socket.sr1(echo, timeout=0.1))
        port.close()

    def test_ip_mode(self):
        one, other_end = self.sockets(mode="ip")
        v4 = scapy.IP(src="10.0.0.1", dst="10.0.0.2") / scapy.ICMP()
        v6 = scapy.IPv6(src="fe80::1", dst="fe80::2") / scapy.ICMPv6EchoRequest()
        self.assertEqual(one.send(v4), 28)
        one.send(v6)
        self.assertEqual([type(other_end.recv()), type(other_end.recv())], [scapy.IP, scapy.IPv6])
        machine = threading.Thread(target=lambda: other_end.send(
            scapy.IP(src="10.0.0.2", dst="10.0.0.1") / scapy.ICMP(type=0) if other_end.recv() else None))  # fmt: skip
        machine.start()
        self.assertEqual(one.sr1(v4, timeout=20).src, "10.0.0.2")
        machine.join()

    def test_sniff_and_sendp(self):
        one, other_end = self.sockets()
        sniffer = scapy.AsyncSniffer(opened_socket=other_end)
        sniffer.start()
        scapy.sendp([scapy.Ether(dst=PEER, src=ME) / bytes([i] * 50) for i in range(10)], socket=one)
        deadline = time.monotonic() + 20
        while other_end.interface.rx[0].counters().packets < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual([packet.load[0] for packet in sniffer.stop()], list(range(10)))
        scapy.sendp(scapy.Ether(dst=PEER, src=ME) / b"last", socket=one)
        self.assertEqual(len(scapy.sniff(opened_socket=other_end, count=1, timeout=20)), 1)
        self.assertEqual(len(scapy.sniff(opened_socket=other_end, timeout=0.05)), 0)

    def test_a_sniffer_whose_socket_is_closed_ends(self):
        one, other_end = self.sockets()
        sniffer = scapy.AsyncSniffer(opened_socket=other_end)
        sniffer.start()
        other_end.interface.close()
        with contextlib.redirect_stderr(io.StringIO()):
            sniffer.join(20)
        self.assertFalse(sniffer.thread.is_alive())

    def test_bridge_and_sniff(self):
        one, left = self.sockets()
        right, two = self.sockets()

        def send():
            one.send(scapy.Ether(dst=PEER, src=ME) / b"there")
            two.send(scapy.Ether(dst=ME, src=PEER) / b"back")

        sent = threading.Timer(0.1, send)
        sent.start()
        seen = scapy.bridge_and_sniff(left, right, count=2, timeout=20)
        sent.join()
        self.assertEqual(len(seen), 2)
        self.assertEqual((two.recv().load, one.recv().load), (b"there", b"back"))

    def test_answering_machine(self):
        one, other_end = self.sockets()
        machine = other_end.am(scapy.ARP_am, IP_addr="10.0.0.2", ARP_addr=PEER)
        request = scapy.Ether(src=ME, dst="ff:ff:ff:ff:ff:ff") / scapy.ARP(psrc="10.0.0.1", pdst="10.0.0.2")
        with contextlib.redirect_stdout(io.StringIO()):
            background = machine.bg()
            answer = one.sr1(request, timeout=20)
            background.stop()
        self.assertEqual(answer[scapy.ARP].hwsrc, PEER)


if __name__ == "__main__":
    unittest.main()
