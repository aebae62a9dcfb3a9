"""What the command does when its output cannot be written, is not read, or has nowhere to go."""

import fcntl
import os
import re
import shlex
import struct
import subprocess
import termios
import unittest

from support import MEMIF, PATIENCE, E2ETest, run_on_full_disk, wait_until
from test_replay import fields, udp_frame, write_pcap


def through_a_shell(redirections, *command):
    """The same process in the end, with what a shell does to its descriptors before."""
    return ("sh", "-c", f"exec {shlex.join(str(word) for word in command)} {redirections}")


class NowhereToWrite(E2ETest):
    def assert_fails(self, process, *words, code=1):
        self.assert_exit(process, code)
        for word in words:
            self.assertIn(word, process.stderr, str(process))

    def test_a_help_text_that_cannot_be_written_is_a_failure(self):
        for option in ("--help", "--version"):
            with self.subTest(option):
                full = self.start(*through_a_shell(">/dev/full", MEMIF, option))
                self.assert_fails(full, "cannot write to standard output", "No space left on device")

    def test_errors_that_nobody_can_read_keep_their_exit_code(self):
        for redirection in ("2>/dev/full", "2>&-"):
            with self.subTest(redirection):
                self.assert_exit(self.start(*through_a_shell(redirection, MEMIF, "info", "--socket", self.socket)), 3)
                self.assert_exit(self.start(*through_a_shell(redirection, MEMIF, "ping")), 2)

    def test_no_file_takes_the_place_of_a_closed_output(self):
        source, copy = write_pcap(self.dir / "in.pcap", [udp_frame(0)]), self.dir / "copy.pcapng"
        dump = self.start(*through_a_shell("<&- >&-", MEMIF, "dump", "-r", source, "-w", copy, "--json"))
        self.assert_fails(dump, "cannot write to standard output", "Bad file descriptor")
        subprocess.run(["capinfos", str(copy)], check=True, capture_output=True)
        self.assertNotIn(b"memif-dump/1", copy.read_bytes())

    def test_a_command_without_any_standard_descriptor_does_its_work(self):
        respond = self.start(*through_a_shell("<&- >&- 2>&-", MEMIF, "respond", "--socket", self.socket, "--role",
                                              "server", "192.168.7.2/24"))  # fmt: skip
        self.listening(respond)
        for fd in range(3):
            self.assertEqual(os.readlink(f"/proc/{respond.pid}/fd/{fd}"), "/dev/null")
        ping = self.memif("ping", "--source", "192.168.7.1/24", "-c", "3", "-i", "0.01", "--json", "192.168.7.2")
        self.assert_all_answered(ping, 3)

    # Each command ends by itself some time after the test has given up, should it outlive the shell.

    def test_reports_end_with_their_reader(self):
        port = f"memif:{self.socket}"
        for command in (
            (MEMIF, "perf", "--port", f"{port},role=server", "--port", port, "--rate", "1kpps", "-i", "50ms", "-t60"),
            (MEMIF, "bridge", f"{port}a,role=server", f"{port}b,role=server", "-i", "50ms", "-t60"),
        ):
            with self.subTest(command[1]):
                line = f"{shlex.join(command)} | head -n 1; exit ${{PIPESTATUS[0]}}"
                process = self.start("bash", "-c", line)
                self.assert_fails(process, "cannot write to standard output", "Broken pipe")

    def test_top_ends_with_its_reader(self):
        published = ("env", "MEMIF_PUBLISH=1", MEMIF, "respond", "--socket", self.socket, "--role", "server")
        self.listening(self.start(*published, "192.168.7.2/24"))
        line = f"{MEMIF} top --interval 100ms --count 600 | head -n 1; exit ${{PIPESTATUS[0]}}"
        self.assert_fails(self.start("bash", "-c", line), "cannot write to standard output", "Broken pipe")


class ReadersThatWait(E2ETest):
    """What is printed seldom comes through a pipe as soon as it is printed."""

    def test_ping_tells_of_each_answer_at_once(self):
        self.respond("192.168.7.2/24", role="server")
        ping = self.memif("ping", "--source", "192.168.7.1/24", "-i", "1h", "192.168.7.2")
        ping.wait_for_output("seq=1")
        self.assertTrue(ping.running(), str(ping))

    def test_bridge_reports_as_often_as_asked(self):
        port = f"memif:{self.socket}"
        bridge = self.start(MEMIF, "bridge", f"{port}a,role=server", f"{port}b,role=server", "-i", "1500ms")
        bridge.wait_for_output("Mbit/s")
        self.assertTrue(bridge.running(), str(bridge))


class SlowReaders(E2ETest):
    """A pipe that is full, and lines that must all arrive."""

    def setUp(self):
        super().setUp()
        self.source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(20_000)])
        self.read_end, self.write_end = os.pipe()
        self.addCleanup(os.close, self.read_end)
        fcntl.fcntl(self.write_end, fcntl.F_SETPIPE_SZ, 4096)

    def dump(self, *arguments):
        """Prints or writes the capture into the pipe, and now waits for its reader."""
        process = subprocess.Popen([MEMIF, "dump", "-r", str(self.source), *arguments], stdin=subprocess.DEVNULL,
                                   stdout=self.write_end, stderr=subprocess.PIPE, text=True)  # fmt: skip
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.close(self.write_end)
        wait_until(lambda: process.poll() is not None or self.waits(process), "a full pipe")
        return process

    def waits(self, process):
        """Something lies in the pipe, and the process sleeps. Reading a file it does not."""
        (lies,) = struct.unpack("i", fcntl.ioctl(self.read_end, termios.FIONREAD, b"\0" * 4))
        with open(f"/proc/{process.pid}/stat", encoding="utf-8") as stat:
            return lies > 0 and stat.read().rpartition(")")[2].split()[0] == "S"

    def all(self, process):
        """What comes until the end, which is in order."""
        text = b""
        while chunk := os.read(self.read_end, 65536):
            text += chunk
        self.assertEqual(process.wait(PATIENCE), 0, process.stderr.read())
        return text

    def lines(self, process):
        """How many come: of the packets, from the first on and without a gap."""
        text = self.all(process)
        self.assertTrue(text.endswith(b"\n"))
        ports = [int(port) for port in re.findall(rb"10\.0\.0\.1\.(\d+) > ", text)]
        self.assertEqual(ports, list(range(1024, 1024 + len(ports))))
        self.assertEqual(len(ports), text.count(b"\n"))
        return len(ports)

    def test_a_signal_while_output_waits_loses_nothing_of_it(self):
        process = self.dump()
        process.terminate()
        wait_until(lambda: self.caught(process), "the signal's arrival")
        self.assertLess(self.lines(process), 20_000)

    def caught(self, process):
        """SIGTERM is no longer pending, and its handler has run: the second one would kill (default action)."""
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
            caught = re.search(r"SigCgt:\s*([0-9a-f]+)", status.read())[1]
        return not int(caught, 16) >> 14 & 1

    def test_an_output_that_somebody_made_non_blocking_is_waited_for(self):
        os.set_blocking(self.write_end, False)
        self.assertEqual(self.lines(self.dump()), 20_000)

    def test_so_is_one_that_a_capture_is_written_to(self):
        os.set_blocking(self.write_end, False)
        copy = self.dir / "copy.pcapng"
        copy.write_bytes(self.all(self.dump("-w", "-")))
        self.assertEqual(fields(copy, "udp.srcport"), fields(self.source, "udp.srcport"))


class FullDisk(E2ETest):
    def test_a_capture_says_why_it_ends_and_can_be_read_as_far_as_it_goes(self):
        source = write_pcap(self.dir / "in.pcap", [udp_frame(i) for i in range(5000)])
        out = self.dir / "out.pcapng"
        dump = run_on_full_disk(200_000, "dump", "-q", "-r", source, "-w", out)
        self.assertEqual(dump.returncode, 1, dump)
        self.assertIn(f"cannot write to {out}: File too large", dump.stderr)
        numbers = [int(port) - 1024 for (port,) in fields(out, "udp.srcport")]
        self.assertEqual(numbers, list(range(len(numbers))))
        self.assertGreater(len(numbers), 1500)

    def test_metrics_says_why_a_file_was_not_written(self):
        file = self.dir / "memif.prom"
        metrics = run_on_full_disk(100, "metrics", "--once", "--file", file)
        self.assertEqual(metrics.returncode, 1, metrics)
        self.assertIn("File too large", metrics.stderr)
        self.assertEqual(list(self.dir.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
