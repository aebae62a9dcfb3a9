"""The C programs of examples/c, compiled from the installed tree: against memif ping, against testpmd, and under valgrind."""
import os
import re
import signal
import subprocess
import time

from support import SOURCE, Installed, program_environment

EXAMPLES = SOURCE / "examples" / "c"
MEMIF = os.environ.get("MEMIF_BIN", "memif")
ANSWERS = [EXAMPLES / "burst.c", EXAMPLES / "icmp.c"]
PARTS = {
    "responder": ("libmemif2", ANSWERS),
    "responder_epoll": ("libmemif2", ANSWERS),
    "responder_threads": ("libmemif2", ANSWERS),
    "zero_copy": ("libmemif3", ANSWERS[1:]),
    "loopback": ("libmemif", []),
}
VALGRIND = ["valgrind", "--leak-check=full", "--show-leak-kinds=all", "--errors-for-leak-kinds=all",
            f"--suppressions={SOURCE / 'tests' / 'capi' / 'helper_threads.supp'}", "--error-exitcode=9", "-q"]
TARGET = "192.168.7.2"
PATIENCE = 60


class Examples(Installed):
    def setUp(self):
        super().setUp()
        self.socket = self.scratch / "p.sock"

    def example(self, name):
        package, more = PARTS[name]
        return self.compile([EXAMPLES / f"{name}.c", *more], package, "-std=gnu11", output=name)

    def start(self, *command, **options):
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, env=program_environment(), **options)

        def end():
            if process.poll() is None:
                process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def start_responder(self, name, *wrapper):
        return self.start(*wrapper, self.example(name), self.socket, TARGET, stdin=subprocess.DEVNULL)

    def stop(self, process, code=0):
        """Ctrl+C: everything is freed, and the end is a success."""
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, code, output)
        return output

    def ping(self, *arguments, role="server", count=100, extra=""):
        output = subprocess.run([MEMIF, "ping", "--socket", self.socket, "--role", role, "--id", "0", "--source",
                                 "192.168.7.1/24", "--wait", "30s", "-c", str(count), "-i", "0.001", *arguments, TARGET],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False)
        self.assertRegex(output.stdout, f"{count} sent, {count} received{extra},")

    def say(self, process, line):
        process.stdin.write(line + "\n")
        process.stdin.flush()

    def read_until(self, process, pattern):
        """The lines up to the one that matches, and its match."""
        lines = []
        for line in process.stdout:
            lines.append(line)
            if match := re.search(pattern, line):
                return match
        self.fail(f"no {pattern} in {''.join(lines)}")


class WithMemif(Examples):
    def test_responder(self):
        process = self.start_responder("responder")
        self.ping()
        self.ping()  # it comes back to a new master by itself
        answered = int(re.search(r"(\d+) answered", self.stop(process))[1])
        self.assertGreaterEqual(answered, 200)

    def test_ping_takes_answers_without_a_right_icmp_checksum(self):
        """FD.io's example responders leave it as it is in the request."""
        source = (EXAMPLES / "icmp.c").read_text()
        right = "put16 (icmp + 2, checksum (icmp, total - header));"
        self.assertIn(right, source)
        (self.scratch / "icmp.c").write_text(source.replace(right, "put16 (icmp + 2, 0x1234);"))
        program = self.compile([EXAMPLES / "zero_copy.c", self.scratch / "icmp.c", "-I", EXAMPLES], "libmemif3", "-std=gnu11")
        process = self.start(program, self.socket, TARGET, stdin=subprocess.DEVNULL)
        self.ping(extra=r" \(100 with a wrong ICMP checksum\)")
        self.stop(process)

    def test_responder_with_threads(self):
        process = self.start_responder("responder_threads")
        self.ping("--queues", "2")
        polled, interrupted = re.search(r"(\d+) answered by polling, (\d+) on interrupts", self.stop(process)).groups()
        self.assertGreaterEqual(int(polled) + int(interrupted), 100)

    def test_zero_copy(self):
        process = self.start_responder("zero_copy")
        self.ping(count=2000)
        self.assertGreaterEqual(int(re.search(r"(\d+) answered", self.stop(process))[1]), 2000)

    def test_responder_with_epoll_and_commands(self):
        process = self.start(self.example("responder_epoll"), self.socket, stdin=subprocess.PIPE)
        self.say(process, f"conn 0 192.168.7.9 master\nconn 1 192.168.7.3 master\nip-set 0 {TARGET}\nrx-mode 0 interrupt")
        self.ping(role="client")
        self.say(process, "sh-count 0")
        self.assertGreaterEqual(int(self.read_until(process, r"0: (\d+) answered, 0 sent")[1]), 100)
        self.say(process, "show 1\nshow 5\ndel 1\nshow 1\nbogus\nconn 1 nonsense\nsend 0")
        for expected in ("1 .*: master, down, 192.168.7.3", "no interface 5", "no interface 1", "sh-count ID",
                         "conn ID ADDRESS", "sending: .*not connected"):
            self.read_until(process, expected)
        self.stop(process)
        self.assertFalse(self.socket.exists())

    def test_responder_with_epoll_ends_with_its_input(self):
        process = self.start(self.example("responder_epoll"), self.socket, stdin=subprocess.PIPE)
        self.say(process, f"conn 0 {TARGET}")
        self.ping()
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0)

    def test_loopback(self):
        self.assertIn("200000 packets", self.run_program(self.example("loopback"), self.socket, "200000"))


class WithTestpmd(Examples):
    def testpmd(self, mode, role, *arguments):
        vdev = f"net_memif0,role={role},socket={self.socket},socket-abstract=no,id=0"
        return self.start("dpdk-testpmd", "--lcores", "0@0,2@0", "--no-huge", "-m", "128", "--no-pci",
                          f"--file-prefix=capi{os.getpid()}", f"--vdev={vdev}", "--", f"--forward-mode={mode}",
                          "--stats-period", "1", "--no-mlockall", "--total-num-mbufs=4096", "-a", *arguments,
                          stdin=subprocess.DEVNULL)

    def count_received(self, process):
        self.say(process, "show 0")
        return int(self.read_until(process, r"rx 0: \d+ slots, head \d+, tail (\d+)")[1])

    def exchange(self, role):
        """Frames from testpmd are taken all the time: the ring goes on by more than its size. And 10 go back."""
        process = self.start(self.example("responder_epoll"), self.socket, stdin=subprocess.PIPE)
        peer = None
        if role == "server":
            peer = self.testpmd("txonly", role, "--txpkts=64")
        self.say(process, f"conn 0 {TARGET}" + ("" if role == "server" else " master"))
        if role == "client":
            deadline = time.monotonic() + PATIENCE
            while not self.socket.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            peer = self.testpmd("txonly", role, "--txpkts=64")
        self.read_until(process, "0 connected")
        seen = set()
        deadline = time.monotonic() + PATIENCE
        while len(seen) < 20:
            self.assertLess(time.monotonic(), deadline, "the ring stands still")
            seen.add(self.count_received(process))
        self.say(process, "send 0 10\nsh-count 0")
        self.read_until(process, "0: 0 answered, 10 sent")
        self.assertIsNone(peer.poll())
        self.stop(process)

    def test_slave_of_a_testpmd_server(self):
        self.exchange("server")

    def test_master_of_a_testpmd_client(self):
        self.exchange("client")


class UnderValgrindRelease(Examples):
    def test_responder(self):
        process = self.start_responder("responder", *VALGRIND)
        self.ping(count=20)
        self.stop(process)

    def test_responder_with_threads(self):
        process = self.start_responder("responder_threads", *VALGRIND)
        self.ping("--queues", "2", count=20)
        self.stop(process)

    def test_responder_with_epoll(self):
        process = self.start(*VALGRIND, self.example("responder_epoll"), self.socket, stdin=subprocess.PIPE)
        self.say(process, f"conn 0 {TARGET}\nconn 1 192.168.7.3")
        self.ping(count=20)
        self.say(process, "show 0\ndel 1")
        self.read_until(process, "0 .*: slave")
        self.stop(process)

    def test_zero_copy(self):
        process = self.start_responder("zero_copy", *VALGRIND)
        self.ping(count=20)
        self.stop(process)

    def test_loopback(self):
        self.run_program(*VALGRIND, self.example("loopback"), self.socket, "2000")
