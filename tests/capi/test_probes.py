"""Static probes: the notes in the installed files, and the bpftrace examples on a running program."""
import os
import re
import select
import shutil
import signal
import subprocess
import time
import unittest

from support import BUILD, LIBDIR, PREFIX, SOURCE, Installed, run

PROBES = {"connect", "disconnect", "rx_burst", "rx_drop", "tx_burst", "tx_drop"}
EXAMPLES = SOURCE / "examples" / "bpftrace"
SCRIPTS = sorted(EXAMPLES.glob("*.bt"))
HAVE_PROBES = "MEMIF_HAVE_SDT:INTERNAL=1" in (BUILD / "CMakeCache.txt").read_text(encoding="utf-8")


def probes(file):
    """Name and argument count of every probe in a file."""
    notes = run("readelf", "-n", file)
    found = re.findall(r"Provider: memif\s+Name: (\w+)\s+Location:.*\s+Arguments: (.*)", notes)
    return {(name, len(arguments.split())) for name, arguments in found}


@unittest.skipUnless(HAVE_PROBES, "built without sys/sdt.h")
class Probes(Installed):
    def test_notes_of_every_probe_with_four_arguments(self):
        libraries = [PREFIX / LIBDIR / f"{name}.so" for name in ("libmemif", "libmemif3", "libmemif21", "libmemif2")]
        for file in (*libraries, PREFIX / "bin" / "memif"):
            self.assertEqual(probes(file), {(name, 4) for name in PROBES}, file)

    def test_each_probe_has_a_semaphore_of_its_own(self):
        notes = run("readelf", "-n", PREFIX / LIBDIR / "libmemif.so")
        semaphores = re.findall(r"Semaphore: (\w+)", notes)
        self.assertEqual(len(set(semaphores)), len(PROBES))
        self.assertNotIn("0x0000000000000000", semaphores)


@unittest.skipUnless(HAVE_PROBES, "built without sys/sdt.h")
class BpftraceRelease(Installed):
    """The examples on a running program. bpftrace wants root, and a kernel with BPF and uprobes."""

    def setUp(self):
        super().setUp()
        self.program = shutil.which("bpftrace")
        self.assertIsNotNone(self.program, "bpftrace is missing: scripts/install-deps.sh test")
        if os.geteuid() != 0:
            self.skipTest("bpftrace needs root")
        tried = subprocess.run([self.program, "-e", "BEGIN { exit(); }"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
        if tried.returncode != 0:
            self.skipTest(f"this kernel does not run bpftrace: {tried.stdout.strip()}")
        self.socket = self.scratch / "p.sock"

    def start(self, *command):
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, stdin=subprocess.DEVNULL)

        def end():
            if process.poll() is None:
                process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def output_of(self, example, wanted):
        """What the example prints about a responder that is pinged while it watches, until that matches `wanted`."""
        memif = PREFIX / "bin" / "memif"
        responder = self.start(memif, "respond", "--socket", self.socket, "--role", "server", "192.168.7.2/24")
        trace = self.start(self.program, "-p", responder.pid, EXAMPLES / example)
        lines = []
        for line in trace.stdout:
            lines.append(line)
            if "Attaching" in line:
                break
        else:
            self.skipTest(f"bpftrace cannot attach here: {''.join(lines)}")
        # It says so before it has attached: packets flow until they are seen.
        deadline = time.monotonic() + 60
        while trace.poll() is None and time.monotonic() < deadline and not re.search(wanted, "".join(lines), re.S):
            run(memif, "ping", "--socket", self.socket, "--source", "192.168.7.1/24", "-c", "20", "-i", "0.05",
                "--wait", "20s", "192.168.7.2")
            while select.select([trace.stdout], [], [], 0)[0] and (line := trace.stdout.readline()):
                lines.append(line)
        if trace.poll() is not None and "ERROR" in "".join(lines):
            self.skipTest(f"bpftrace cannot attach here: {''.join(lines)}")
        trace.send_signal(signal.SIGINT)
        rest, _ = trace.communicate(timeout=60)
        return "".join(lines) + rest

    def test_links(self):
        output = self.output_of("links.bt", ": connected, .*: disconnected: ")
        self.assertRegex(output, r"memif/0: connected, id 0, peer pid \d+")
        self.assertRegex(output, r"memif/0: disconnected: ")

    def test_bursts(self):
        output = self.output_of("bursts.bt", r"@tx_bytes\[0\]: ")
        self.assertRegex(output, r"@rx_packets\[0\]: [1-9]")
        self.assertRegex(output, r"@tx_bytes\[0\]: [1-9]")
        self.assertIn("@rx_burst_size[0]:", output)

    def test_all_examples_are_accepted(self):
        responder = self.start(PREFIX / "bin" / "memif", "respond", "--socket", self.socket, "--role", "server",
                               "192.168.7.2/24")
        self.assertGreaterEqual(len(SCRIPTS), 3)
        for script in SCRIPTS:
            run(self.program, "-d", "-p", responder.pid, script)


if __name__ == "__main__":
    unittest.main()
