"""memif replay: what arrives is what the capture has, as tshark reads it."""

import json
import signal
import struct
import subprocess
import unittest

from support import MEMIF, E2ETest, wait_until

HOST_A, HOST_B = b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02"


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def udp_frame(number, size=64):
    """An Ethernet frame of `size` bytes with right checksums and its number as source port."""
    payload = bytes(size - 42)
    udp = struct.pack(">HHHH", 1024 + number % 60000, 9, 8 + len(payload), 0) + payload
    pseudo = HOST_A + HOST_B + struct.pack(">BBH", 0, 17, len(udp))
    udp = udp[:6] + struct.pack(">H", checksum(pseudo + udp)) + udp[8:]
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), number & 0xFFFF, 0, 64, 17, 0) + HOST_A + HOST_B
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return b"\x02\0\0\0\0\2" + b"\x02\0\0\0\0\1" + b"\x08\0" + head + udp


def write_pcap(path, frames, gap_ns=0, link_type=1):
    """A pcap file with nanoseconds, `gap_ns` between frames."""
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, link_type))
        for i, frame in enumerate(frames):
            seconds, ns = divmod(i * gap_ns, 10**9)
            out.write(struct.pack("<IIII", 1700000000 + seconds, ns, len(frame), len(frame)) + frame)
    return path


def read_capture(path):
    """The frames of a capture file, as tcpdump reads it."""
    command = ["tcpdump", "-r", str(path), "-w", "-"]
    capture, position, frames = subprocess.run(command, capture_output=True, check=True).stdout, 24, []
    while position < len(capture):
        (length,) = struct.unpack_from("<8xI", capture, position)
        frames.append(capture[position + 16 : position + 16 + length])
        position += 16 + length
    return frames


def fields(capture, *names, options=()):
    """One tuple of tshark's fields for each frame."""
    command = ["tshark", "-n", "-r", str(capture), *options, "-T", "fields"]
    for name in names:
        command += ["-e", name]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return [tuple(line.split("\t")) for line in result.stdout.splitlines()]


class ReplayCase(E2ETest):
    def replay(self, capture, *arguments, count, dump_port=(), **port):
        """What a dump as server got of a replay as client, and the replay's report."""
        got = self.dir / "got.pcapng"
        dump = self.listening(self.memif("dump", *dump_port, "-c", str(count), "-w", got, role="server"))
        replay = self.memif("replay", "--json", *arguments, capture, **port)
        report = self.report(replay)
        self.assert_exit(dump, 0)
        return got, report


class ReplayTest(ReplayCase):
    def test_all_frames_arrive_in_order(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(500)])
        got, report = self.replay(source, "--topspeed", count=500)
        self.assertEqual((report["sent"], report["not_sent"], report["bytes"]), (500, 0, 500 * 64))
        self.assertEqual(fields(got, "udp.srcport"), fields(source, "udp.srcport"))

    def test_pcapng(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(20)])
        converted = self.dir / "in.pcapng"
        subprocess.run(["editcap", "-F", "pcapng", str(source), str(converted)], check=True)
        got, _ = self.replay(converted, "--topspeed", count=20)
        self.assertEqual(fields(got, "udp.srcport"), fields(source, "udp.srcport"))

    def test_loop(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(7)])
        got, report = self.replay(source, "--topspeed", "--loop", "10", count=70)
        self.assertEqual((report["sent"], report["loops"]), (70, 10))
        self.assertEqual(fields(got, "udp.srcport"), fields(source, "udp.srcport") * 10)

    def test_frames_longer_than_a_buffer_arrive_whole(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i, 1500) for i in range(30)])
        got, _ = self.replay(source, "--topspeed", "--buffer-size", "256", count=30)
        checked = fields(got, "frame.len", "udp.checksum.status", options=("-o", "udp.check_checksum:TRUE"))
        self.assertEqual(checked, [("1500", "1")] * 30)

    def test_rewritten_addresses_have_right_checksums(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(50)])
        got, _ = self.replay(
            source, "--topspeed", "--source-mac", "02:00:00:00:00:77", "--destination-mac", "02:00:00:00:00:88",
            "--map-address", "10.0.0.0/24=192.168.7.0/24", count=50,
        )  # fmt: skip
        names = ("eth.src", "eth.dst", "ip.src", "ip.dst", "ip.checksum.status", "udp.checksum.status")
        checks = ("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")
        wanted = ("02:00:00:00:00:77", "02:00:00:00:00:88", "192.168.7.1", "192.168.7.2", "1", "1")
        self.assertEqual(fields(got, *names, options=checks), [wanted] * 50)

    def test_recorded_pace_takes_as_long_as_the_recording(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(11)], gap_ns=50_000_000)
        _, report = self.replay(source, count=11)
        self.assertGreaterEqual(report["duration_s"], 0.5)
        self.assertLess(report["duration_s"], 5)

    def test_a_packet_that_is_due_in_years_is_told_of_and_a_signal_ends_the_wait(self):
        source = self.dir / "in.pcap"
        with open(source, "wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
            for seconds in (1700000000, 1700000000 + 2 * 365 * 86400):
                out.write(struct.pack("<IIII", seconds, 0, 64, 64) + udp_frame(0))
        dump = self.listening(self.memif("dump", "-w", self.dir / "got.pcapng", role="server"))
        replay = self.memif("replay", source)
        replay.wait_for_output("packet 2 is due in 2.00 years")
        self.assertEqual(replay.terminate(), 0, str(replay))
        self.assert_exit(dump, 0)

    def test_packets_captured_before_their_predecessor_do_not_delay_the_others(self):
        source = self.dir / "in.pcap"
        with open(source, "wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
            for i in range(400):  # every other one by a clock that is a tenth of a second behind
                ns = 200_000_000 + i * 1_000_000 - i % 2 * 100_000_000
                out.write(struct.pack("<IIII", 1700000000, ns, 64, 64) + udp_frame(i))
        _, report = self.replay(source, count=400)
        self.assertGreaterEqual(report["duration_s"], 0.398)
        self.assertLess(report["duration_s"], 10)  # added up, the gaps were 20 s

    def test_mbps(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i, 1000) for i in range(100)])
        _, report = self.replay(source, "--mbps", "2", count=100)  # 800 kbit in 0.4 s
        self.assertGreaterEqual(report["duration_s"], 0.39)
        self.assertLess(report["duration_s"], 5)

    def test_queues_take_turns(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(1000)])
        queues = ("--queues", "3")
        got, report = self.replay(source, "--topspeed", *queues, count=1000, dump_port=queues)
        self.assertEqual(report["sent"], 1000)
        self.assertEqual(sum(report["sent_by_queue"]), 1000)
        self.assertGreater(min(report["sent_by_queue"]), 100)
        self.assertEqual(sorted(fields(got, "udp.srcport")), sorted(fields(source, "udp.srcport")))

    def test_interfaces_of_a_pcapng_are_sent_in_the_order_of_the_file(self):
        first = write_pcap(self.dir / "a.pcap", [udp_frame(i) for i in range(0, 20, 2)], gap_ns=2000)
        second = write_pcap(self.dir / "b.pcap", [udp_frame(i) for i in range(1, 21, 2)], gap_ns=2001)
        both = self.dir / "both.pcapng"
        subprocess.run(["mergecap", "-I", "none", "-w", str(both), str(first), str(second)], check=True)
        self.assertEqual(len(set(fields(both, "frame.interface_id"))), 2)
        got, _ = self.replay(both, "--topspeed", count=20)
        self.assertEqual(fields(got, "udp.srcport"), fields(both, "udp.srcport"))

    def test_progress_on_a_terminal(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(1500)])
        self.listening(self.memif("dump", "-q", role="server"))
        command = f"{MEMIF} replay --socket {self.socket} --pps 1000 {source}"
        terminal = self.start("script", "-qec", command, "/dev/null")
        self.assert_exit(terminal, 0)
        self.assertRegex(terminal.stdout, r"\d+ packets, \d+ a second, \d+ %, [0-9.]+ m?s left")

    def test_as_server(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(50)])
        replay = self.listening(self.memif("replay", "--json", "--topspeed", source, role="server"))
        got = self.dir / "got.pcapng"
        dump = self.memif("dump", "-c", "50", "-w", got)
        self.assertEqual(self.report(replay)["sent"], 50)
        self.assert_exit(dump, 0)
        self.assertEqual(fields(got, "udp.srcport"), fields(source, "udp.srcport"))


class ReplayFailureTest(E2ETest):
    def replay(self, *arguments, **port):
        return self.memif("replay", *arguments, **port)

    def test_truncated_capture_is_reported_after_what_it_has(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(3)])
        source.write_bytes(source.read_bytes()[:-10])
        dump = self.listening(self.memif("dump", "-c", "2", "-q", role="server"))
        replay = self.replay("--topspeed", "--json", source)
        self.assert_exit(replay, 1)
        self.assertIn("beyond packet 2", replay.stderr)
        self.assertIn("truncated", replay.stderr)
        report = json.loads(replay.stdout)
        self.assertEqual((report["sent"], report["complete"]), (2, False))
        self.assert_exit(dump, 0)

    def test_what_could_not_be_sent_is_counted(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(200)])
        dump = self.listening(self.memif("dump", role="server"))
        replay = self.replay("--pps", "100", "--stall", "100ms", "--ring-size", "16", "--json", source)
        dump.wait_for_output("10.0.0.1.1024")
        dump.popen.send_signal(signal.SIGSTOP)  # it takes no more, and its ring is short
        self.assert_exit(replay, 1)
        report = json.loads(replay.stdout)
        self.assertEqual(report["sent"] + report["not_sent"], 200)
        self.assertGreater(report["not_sent"], 0)
        self.assertIn(f"{report['not_sent']} packets could not be sent", replay.stderr)

    def test_what_no_ring_holds_is_not_waited_for(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i, 9000 if i % 2 else 64) for i in range(20)])
        dump = self.listening(self.memif("dump", "-q", "--json", role="server"))
        replay = self.replay("--topspeed", "--ring-size", "2", "--stall", "1h", "--json", source)
        self.assert_exit(replay, 1)
        report = json.loads(replay.stdout)
        self.assertEqual((report["sent"], report["not_sent"], report["bytes"]), (10, 10, 640))
        self.assertIn("10 longer than the whole ring", replay.stderr)
        self.assertEqual(self.report(dump)["captured"], 10)

    def test_nothing_sent_took_no_time(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i, 9000) for i in range(3)])
        self.listening(self.memif("dump", "-q", role="server"))
        replay = self.replay("--ring-size", "2", "--json", source)
        self.assert_exit(replay, 1)
        report = json.loads(replay.stdout)
        self.assertEqual((report["sent"], report["duration_s"], report["rate_pps"]), (0, 0, 0))

    def test_not_a_capture(self):
        source = self.dir / "in.pcap"
        source.write_bytes(b"this is no capture, not at all")
        replay = self.replay(source)
        self.assert_exit(replay, 1)
        self.assertIn(str(source), replay.stderr)

    def test_no_such_file(self):
        replay = self.replay(self.dir / "none.pcap")
        self.assert_exit(replay, 1)
        self.assertIn("No such file", replay.stderr)

    def test_link_type_that_the_mode_does_not_carry(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(0)], link_type=105)  # IEEE 802.11
        replay = self.replay(source)
        self.assert_exit(replay, 2)
        self.assertIn("IEEE802_11", replay.stderr)

    def test_nobody_listens(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(0)])
        self.assert_no_peer(self.replay("--wait", "200ms", source), "no peer")

    def test_two_paces_are_wrong_usage(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(0)])
        self.assert_exit(self.replay("--topspeed", "--pps", "5", source), 2)

    def test_a_file_of_empty_packets_ends_at_once_although_it_is_to_be_sent_for_ever(self):
        source = write_pcap(self.dir / "in.pcap", [b""] * 5)
        self.listening(self.memif("dump", "-q", role="server"))
        replay = self.replay("--loop", "0", "--json", source)
        self.assert_exit(replay, 1)
        self.assertIn("5 packets could not be sent: 0 longer than the whole ring, 5 empty", replay.stderr)
        report = json.loads(replay.stdout)
        self.assertEqual((report["read"], report["sent"], report["not_sent"], report["loops"]), (5, 0, 5, 1))

    def test_signal_ends_it_with_a_report(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(0)])
        dump = self.listening(self.memif("dump", role="server"))
        replay = self.replay("--pps", "100", "--loop", "0", "--json", source)
        # Before the first frame is sent, it may not have come to handle signals; any time later it must end in order.
        wait_until(lambda: dump.stdout, "a frame that the dump tells of")
        self.assertEqual(replay.terminate(), 0, str(replay))
        self.assertFalse(json.loads(replay.stdout)["complete"])


class ReplayTimingTest(ReplayCase):
    def test_a_million_a_second(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(1000)])
        dump = self.listening(self.memif("dump", "-q", role="server"))
        report = self.report(self.memif("replay", "--json", "--pps", "1Mpps", "--loop", "1000", source))
        dump.terminate()
        self.assertEqual(report["sent"], 1_000_000)
        self.assertLess(report["rate_pps"], 1.01e6)  # it never runs ahead
        self.assertGreater(report["rate_pps"], 1e4)  # a busy machine slows it


if __name__ == "__main__":
    unittest.main()
