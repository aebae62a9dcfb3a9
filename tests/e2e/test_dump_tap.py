"""memif dump --pid: the packets of a link of two other processes, looked at by a third."""

import collections
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import unittest

from raw_peer import COOKIE, DESCRIPTORS, HEADER, RawClient
from support import MEMIF, E2ETest, wait_until
from test_replay import udp_frame, write_pcap

Frame = collections.namedtuple("Frame", "interface direction data")
INBOUND, OUTBOUND = 1, 2


def blocks(capture):
    """(type, body) of each block of a pcapng file."""
    data, at = capture.read_bytes(), 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        yield kind, data[at + 8 : at + length - 4]
        at += length


def frames(capture):
    """What pcapng says of each packet: the number of its interface, its way, and its bytes."""
    result = []
    for kind, body in blocks(capture):
        if kind != 6:
            continue
        interface, length = struct.unpack_from("<I8xI", body)
        flags = struct.unpack_from("<HHI", body, 20 + (length + 3) // 4 * 4)
        assert flags[:2] == (2, 4), flags
        result.append(Frame(interface, flags[2], body[20 : 20 + length]))
    return result


def interface_names(capture):
    """if_name, the first option, of each interface."""
    names = []
    for kind, body in blocks(capture):
        if kind == 1:
            code, length = struct.unpack_from("<HH", body, 8)
            assert code == 2
            names.append(body[12 : 12 + length].decode())
    return names


# Packets a second of which the tap is to see each, so few that it may lose its processor for a second. On a machine with
# three to spare, ask for 100000.
PACE = int(os.environ.get("MEMIF_TAP_PACE", "10000"))


class TapCase(E2ETest):
    def setUp(self):
        super().setUp()
        os.environ["MEMIF_PUBLISH"] = "1"
        self.addCleanup(os.environ.pop, "MEMIF_PUBLISH", None)
        self.capture = self.dir / "tap.pcapng"

    def publishing(self, process):
        """Returns `process` once it publishes an interface."""
        command = [MEMIF, "info", "--pid", process.pid]
        wait_until(
            lambda: subprocess.run([str(w) for w in command], capture_output=True, check=False).returncode == 0,
            f"an interface of {process}",
        )
        return process

    def start_tap(self, victim, *arguments):
        return self.start(MEMIF, "dump", "--pid", self.publishing(victim).pid, "--keep-up", *arguments)

    def tap(self, victim, *arguments):
        """A tap that looks at a program's interfaces before they have a link."""
        tap = self.start_tap(victim, *arguments)
        tap.wait_for_output("is down" if "-q" not in arguments else "")
        return tap

    def source(self, count, size=64):
        self.sent = [udp_frame(i, size) for i in range(count)]
        return write_pcap(self.dir / "in.pcap", self.sent)


class DumpTapTest(TapCase):
    RING = ("--ring-size", "16384")

    def both_ways(self, victim_is, role):
        """A second of packets from a replay to a dump. One of the two is looked at, in that role."""
        other = "client" if role == "server" else "server"
        source = self.source(1000)
        replay = ("--pps", PACE, "--loop", PACE // 1000, "--json", source)
        sink = ("-q", "-c", PACE)

        def run(name, role):
            arguments = (*self.RING, "--wait", "60s", *(replay if name == "replay" else sink))
            return self.memif(name, *arguments, role=role)

        victim = run(victim_is, role)
        tap = self.tap(victim, "-w", self.capture, "-c", PACE, "--json")
        peer = run("dump" if victim_is == "replay" else "replay", other)
        self.assert_exit(peer, 0, 60)
        self.assert_exit(victim, 0, 60)
        report = self.report(tap)
        way, number = (OUTBOUND, 1) if victim_is == "replay" else (INBOUND, 0)
        self.assertEqual([one["missed"] for one in report["interfaces"]], [0, 0], str(tap))
        self.assertEqual(report["captured"], PACE)
        name = f"{self.socket} id 0"
        self.assertEqual(interface_names(self.capture), [f"{name} rx", f"{name} tx"])
        self.assertEqual(frames(self.capture), [Frame(number, way, frame) for frame in self.sent] * (PACE // 1000))

    def test_a_client_sends(self):
        self.both_ways("replay", "client")

    def test_a_server_receives(self):
        self.both_ways("dump", "server")

    def test_a_server_sends(self):
        self.both_ways("replay", "server")

    def test_a_client_receives(self):
        self.both_ways("dump", "client")

    def test_at_top_speed_what_is_missed_is_counted_and_nothing_is_torn(self):
        """Each packet is of one byte only, so that two in one would show."""
        whole = [bytes([i]) * (64 + 16 * (i % 64)) for i in range(256)]
        source = write_pcap(self.dir / "in.pcap", whole)
        sink = self.listening(self.memif("dump", "-q", "--wait", "60s", "--ring-size", "256", "--json", role="server"))
        tap = self.tap(sink, "-w", self.capture, "--json")
        replay = self.report(self.memif("replay", "--topspeed", "--loop", "400", "--json", source), 60)
        self.assertEqual(self.report(sink)["received"], replay["sent"])
        report = self.report(tap)
        missed = report["interfaces"][0]["missed"]
        self.assertEqual(report["captured"] + missed, replay["sent"], str(tap))
        self.assertGreater(report["captured"], 0)
        seen = {frame.data for frame in frames(self.capture)}
        self.assertEqual(seen - set(whole), set())

    def test_one_direction_of_one_queue(self):
        responder = self.respond("192.168.9.2/24", role="server")
        tap = self.tap(responder, "--direction", "tx", "--queue", "0", "--interface", "memif/0", "-w", self.capture)
        ping = self.memif("ping", "--source", "192.168.9.1/24", "-c", "3", "-i", "0.01", "192.168.9.2")
        self.assert_exit(ping, 0)
        self.assertEqual(tap.terminate(), 0)
        self.assertEqual(interface_names(self.capture), [f"{self.socket} id 0 tx"])
        self.assertEqual({(f.interface, f.direction) for f in frames(self.capture)}, {(0, OUTBOUND)})
        self.assertEqual(len(frames(self.capture)), 4)  # who has it, and three answers

    def test_another_queue_has_nothing(self):
        responder = self.respond("192.168.9.2/24", role="server")
        tap = self.tap(responder, "--queue", "5", "-w", self.capture)
        self.assert_exit(self.memif("ping", "--source", "192.168.9.1/24", "-c", "1", "192.168.9.2"), 0)
        self.assertEqual(tap.terminate(), 0)
        self.assertEqual(frames(self.capture), [])

    def test_on_the_screen_with_a_filter(self):
        responder = self.respond("192.168.9.2/24", role="server")
        tap = self.tap(responder, "-c", "4", "icmp")
        self.assert_exit(self.memif("ping", "--source", "192.168.9.1/24", "-c", "2", "192.168.9.2"), 0)
        self.assert_exit(tap, 0)
        self.assertEqual(tap.stdout.count("echo request"), 2)
        self.assertEqual(len(re.findall(r"id 0 tx .*echo reply", tap.stdout)), 2)

    def test_a_link_that_returns_with_other_rings(self):
        sink = self.listening(self.memif("dump", "-q", "--reconnect", "--wait", "forever", role="server"))
        tap = self.tap(sink, "-w", self.capture)
        for size in "64", "4096":
            source = self.source(50)
            self.report(self.memif("replay", "--pps", "200", "--ring-size", size, "--json", source))
        wait_until(lambda: tap.stderr.count("is down") == 3, "the end of the second link")
        self.assertEqual(tap.terminate(), 0)
        self.assertEqual([frame.data for frame in frames(self.capture)], self.sent * 2)

    def test_a_program_that_is_killed(self):
        sink = self.listening(self.memif("dump", "-q", "--wait", "60s", role="server"))
        tap = self.tap(sink, "-w", self.capture)
        replay = self.memif("replay", "--pps", "1000", "--loop", "1000", self.source(100))
        tap.wait_for_output("is up")
        wait_until(lambda: sum(1 for kind, _ in blocks(self.capture) if kind == 6) > 100, "packets in the capture")
        sink.kill()
        self.assert_exit(tap, 0)
        self.assertIn("has gone", tap.stderr)
        self.assertEqual(frames(self.capture)[0].data, self.sent[0])
        replay.kill()

    def test_a_condition_that_was_not_met(self):
        sink = self.listening(self.memif("dump", "-q", "--wait", "60s", role="server"))
        tap = self.tap(sink, "-c", "5")
        sink.kill()
        self.assert_exit(tap, 1)
        self.assertIn("the program has ended", tap.stderr)

    def test_nothing_of_the_program_is_mapped_or_open_for_writing(self):
        sink = self.listening(self.memif("dump", "-q", "--wait", "60s", role="server"))
        tap = self.tap(sink, "-q", "-w", self.capture)
        wait_until(self.capture.exists, "the capture's file")
        replay = self.memif("replay", "--pps", "1000", "--loop", "1000", self.source(100))
        wait_until(lambda: sum(1 for kind, _ in blocks(self.capture) if kind == 6) > 0, "a packet in the capture")
        with open(f"/proc/{tap.pid}/maps", encoding="utf-8") as maps:
            self.assertNotIn("memfd:memif", maps.read())
        ways = []
        for fd in os.listdir(f"/proc/{tap.pid}/fd"):
            if "memfd:memif" in os.readlink(f"/proc/{tap.pid}/fd/{fd}"):
                with open(f"/proc/{tap.pid}/fdinfo/{fd}", encoding="utf-8") as info:
                    ways.append(int(re.search(r"flags:\s*(\d+)", info.read())[1], 8) & os.O_ACCMODE)
        self.assertEqual(ways, [os.O_RDONLY] * 2)  # the publication and the link's region
        replay.kill()

    def test_it_stands_back_unless_it_is_to_keep_up(self):
        sink = self.listening(self.memif("dump", "-q", "--wait", "60s", role="server"))
        for options, policy in ([], os.SCHED_IDLE), (["--keep-up"], os.SCHED_OTHER):
            tap = self.start(MEMIF, "dump", "--pid", self.publishing(sink).pid, *options)
            tap.wait_for_output("is down")
            self.assertEqual(os.sched_getscheduler(tap.pid), policy)
            tap.terminate()

    def test_what_cannot_be_looked_at(self):
        del os.environ["MEMIF_PUBLISH"]
        silent = self.listening(self.memif("dump", "-q", "--wait", "60s", role="server"))
        self.assert_no_peer(self.start(MEMIF, "dump", "--pid", silent.pid), "memif_publish=1")
        self.assert_no_peer(self.start(MEMIF, "dump", "--pid", "4194304"), "no such process")
        os.environ["MEMIF_PUBLISH"] = "1"
        other = self.memif("dump", "-q", "--wait", "60s", role="server", socket=self.dir / "other.sock")
        tap = self.start(MEMIF, "dump", "--pid", self.publishing(other).pid, "--interface", "eth0")
        self.assert_no_peer(tap, "no interface 'eth0'", "memif/0")
        for wrong in ["--direction", "up"], ["--queue", "300"], ["--socket", "@a"], ["-r", "x"]:
            self.assert_exit(self.start(MEMIF, "dump", "--pid", other.pid, *wrong), 2)
        self.assert_exit(self.start(MEMIF, "dump", "--interface", "eth0"), 2)

    @unittest.skipUnless(os.geteuid() == 0, "becoming another user needs root")
    def test_another_users_program(self):
        sink = self.listening(self.memif("dump", "-q", "--wait", "60s", role="server"))
        nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
        tap = self.start(*nobody, MEMIF, "dump", "--pid", self.publishing(sink).pid)
        self.assert_exit(tap, 1)
        self.assertIn("only its own user and root", tap.stderr)


# One interface that is up, published before region files were told.
OLD_PUBLICATION = """
import fcntl, os, struct, time
fd = os.memfd_create("memif-published", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
os.ftruncate(fd, 8192)
state = struct.pack("<QIIQQQQ", 2, 0, 1, 0, 1, 0, 0).ljust(140, b"\\0") + struct.pack("<I", 1)
state = state.ljust(400, b"\\0") + struct.pack("<QBB6x", 65536, 0, 1)
os.pwrite(fd, struct.pack("<QIiQIBBHHHI32s32s256s", 0x3062757066696D01, 1, os.getpid(), 0, 0, 1, 0, 1, 1, 0, 0,
                          b"old", b"old", b"/old.sock"), 0)
os.pwrite(fd, state, 384)
fcntl.fcntl(fd, 1033, 2)  # F_ADD_SEALS, F_SEAL_SHRINK
fcntl.lockf(fd, fcntl.LOCK_EX)
print("ready", flush=True)
time.sleep(600)
"""


class HostileTapTest(TapCase):
    """What the two ends may do to whoever looks at them."""

    def test_a_peer_that_writes_what_it_likes(self):
        sink = self.listening(self.memif("dump", "-q", "--reconnect", "--wait", "forever", role="server"))
        tap = self.tap(sink, "-w", self.capture, "--json")
        for seed in range(20):
            peer = RawClient(self.socket)
            wait_until(lambda: tap.stderr.count("is up") > seed, "the link")
            noise = os.urandom(DESCRIPTORS * 16)
            for index in range(200):
                os.pwrite(peer.region, noise[index % 64 :], HEADER)
                os.pwrite(peer.region, struct.pack("<H", index * (seed + 1) & 0xFFFF), 6)
                os.pwrite(peer.region, struct.pack("<I", COOKIE if index % 7 else 0), 0)
            peer.close()
            wait_until(lambda: tap.stderr.count("is down") > seed + 1, "the link's end")
        self.assertTrue(sink.running(), str(sink))
        self.report_of_terminated(tap)

    def report_of_terminated(self, tap):
        tap.popen.send_signal(signal.SIGTERM)
        return self.report(tap)

    def test_a_program_that_does_not_tell_its_regions(self):
        old = self.start("python3", "-c", OLD_PUBLICATION)
        old.wait_for_output("ready")
        tap = self.start(MEMIF, "dump", "--pid", old.pid)
        self.assert_exit(tap, 1)
        self.assertIn("older memifpp", tap.stderr)

    def test_a_peer_whose_memory_cannot_be_opened_ends_no_other_capture(self):
        """It has a lease on its memory file, which whoever opens that would have to wait for."""

        class Leaseholder(RawClient):
            def prepare_region(self, size):
                own = os.open(f"/proc/self/fd/{self.region}", os.O_RDWR | os.O_CLOEXEC)
                os.dup2(own, self.region)
                os.close(own)
                fcntl.fcntl(self.region, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                return super().prepare_region(size)

        self.addCleanup(signal.signal, signal.SIGIO, signal.signal(signal.SIGIO, signal.SIG_IGN))
        places = [self.dir / f"{name}.sock" for name in "abc"]
        bridge = self.start(MEMIF, "bridge", *(f"memif:{place},role=server" for place in places))
        self.listening(bridge, places[-1])
        tap = self.start_tap(bridge, "-w", self.capture, "--json")
        wait_until(lambda: tap.stderr.count("is down") == 3, "the tap of three interfaces")
        hostile = Leaseholder(places[2])
        self.addCleanup(hostile.close)
        tap.wait_for_output("cannot be read")
        responder = self.respond("10.9.0.2/24", socket=places[1])
        responder.wait_for_output("the link is up")
        ping = self.memif("ping", "--wait", "20s", "--source", "10.9.0.1/24", "-c", "20", "-i", "0.01", "--json", "10.9.0.2",
                          socket=places[0])  # fmt: skip
        self.assert_all_answered(ping, 20)
        self.assertEqual(tap.terminate(), 0, str(tap))
        report = json.loads(tap.stdout)
        self.assertGreaterEqual(report["captured"], 40, str(tap))

    def test_a_region_that_is_no_memory_file(self):
        """Whatever descriptor a program names, only memory files are opened."""
        script = OLD_PUBLICATION.replace('"<QBB6x", 65536, 0, 1)', '"<QBB2xi", 65536, 0, 1, os.open("/dev/zero", 0) + 1)')
        program = self.start("python3", "-c", script)
        program.wait_for_output("ready")
        tap = self.start(MEMIF, "dump", "--pid", program.pid)
        self.assert_exit(tap, 1)
        self.assertIn("not a memory file", tap.stderr)


if __name__ == "__main__":
    unittest.main()
