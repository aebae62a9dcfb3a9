"""What the end-to-end tests share: processes that are always cleaned up, deadlines instead of sleeps, and testpmd."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

MEMIF = os.environ.get("MEMIF_BIN", "memif")
HELPERS = Path(os.environ.get("MEMIF_BIN_DIR", "."))
EXAMPLES = Path(os.environ.get("MEMIF_EXAMPLES_DIR", "."))  # the programs of examples/cpp
DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"
PATIENCE = 20  # seconds that anything may take before a test gives up on it


def wait_until(condition, what, timeout=PATIENCE):
    """Returns the first true value of condition(), or fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(0.02)


def help_text(*subcommand):
    """What `memif [SUBCOMMAND] --help` prints."""
    return subprocess.run([MEMIF, *subcommand, "--help"], capture_output=True, text=True, check=True).stdout


def subcommands():
    """Those that the command itself lists."""
    return re.findall(r"^  (\w+)", help_text().split("Subcommands:")[1], re.MULTILINE)


def keys(value):
    """All names in a JSON value."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()


def run_on_full_disk(room, *arguments):
    """The memif command where no file can be longer than `room` bytes, as if the disk were full then."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    # With the signals as a shell leaves them: the limit kills a program that does not see to SIGXFSZ.
    return subprocess.run([MEMIF, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE, check=False, preexec_fn=limit)  # fmt: skip


class Process:
    """A child process whose output is collected while it runs."""

    def __init__(self, command):
        self.command = [str(word) for word in command]
        self.popen = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._collected = {"stdout": bytearray(), "stderr": bytearray()}
        self._readers = [
            threading.Thread(target=self._collect, args=(name,), daemon=True) for name in self._collected
        ]
        for reader in self._readers:
            reader.start()

    def _collect(self, name):
        pipe = getattr(self.popen, name)
        while chunk := os.read(pipe.fileno(), 65536):
            self._collected[name] += chunk

    @property
    def pid(self):
        return self.popen.pid

    def collected(self, name):
        """All bytes of stdout or stderr so far."""
        return bytes(self._collected[name])

    @property
    def stdout(self):
        return self._collected["stdout"].decode(errors="replace")

    @property
    def stderr(self):
        return self._collected["stderr"].decode(errors="replace")

    def running(self):
        return self.popen.poll() is None

    def wait(self, timeout=PATIENCE):
        """Waits for the end and returns the exit code (negative: the signal)."""
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s: {self}") from None
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def wait_for_output(self, text, timeout=PATIENCE):
        def seen():
            if text in self.stdout or text in self.stderr:
                return True
            if not self.running():
                self.wait()
                if text in self.stdout or text in self.stderr:
                    return True
                raise AssertionError(f"ended without printing {text!r}: {self}")
            return False

        wait_until(seen, f"{text!r} from {self.command}", timeout)

    def terminate(self, timeout=PATIENCE):
        """Asks for the end with SIGTERM and returns the exit code."""
        if self.running():
            self.popen.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        if self.running():
            self.popen.kill()
        return self.wait()

    def close(self):
        self.kill()
        self.popen.stdout.close()
        self.popen.stderr.close()

    def fds(self):
        """Number of open file descriptors."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def shared_mappings(self):
        """Number of mappings of memory shared with a peer."""
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
            return sum(" rw-s " in line and "memfd" in line for line in maps)

    def __str__(self):
        return (
            f"{' '.join(self.command)}\n-- exit code: {self.popen.poll()}"
            f"\n-- stdout:\n{self.stdout[-4000:]}\n-- stderr:\n{self.stderr[-4000:]}"
        )


class E2ETest(unittest.TestCase):
    """A test with a directory of its own and processes that end with it."""

    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="memif-e2e-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.socket = self.dir / "memif.sock"

    def start(self, *command):
        process = Process(command)
        self.addCleanup(process.close)
        return process

    def memif(self, subcommand, *arguments, socket=None, role="client", id=0):  # pylint: disable=redefined-builtin
        """Starts the memif command on a port."""
        port = ["--socket", socket or self.socket, "--role", role, "--id", id]
        return self.start(MEMIF, subcommand, *port, *arguments)

    def helper(self, name, *arguments):
        return self.start(HELPERS / name, *arguments)

    def listening(self, process, socket=None):
        """Returns `process` once it has made its socket."""
        path = Path(socket or self.socket)

        def made():
            self.assertTrue(process.running(), f"ended before it listened: {process}")
            return path.is_socket()

        wait_until(made, f"{path} of {process.command}")
        return process

    def respond(self, *arguments, **port):
        """A responder; one that is a server is returned when it listens."""
        process = self.memif("respond", *arguments, **port)
        return self.listening(process, port.get("socket")) if port.get("role") == "server" else process

    def assert_exit(self, process, code, timeout=PATIENCE):
        self.assertEqual(process.wait(timeout), code, str(process))

    def assert_no_peer(self, process, *words):
        """Exit code 3, with the reason on stderr and nothing on stdout that looks like success."""
        self.assert_exit(process, 3)
        for word in words:
            self.assertIn(word, process.stderr.lower(), str(process))

    def report(self, process, timeout=PATIENCE):
        """The JSON object that a successful process printed."""
        self.assert_exit(process, 0, timeout)
        report = json.loads(process.stdout)
        self.assert_documented(report)
        return report

    def assert_documented(self, report):
        """The schema, and each name in the report, are in the subcommand's document."""
        self.assertRegex(report["schema"], r"^memif-\w+/\d+$")
        name = report["schema"].removeprefix("memif-").split("/")[0]
        document = (DOCUMENTS / f"{name}.md").read_text(encoding="utf-8")
        self.assertIn(report["schema"], document)
        missing = [key for key in keys(report) - {"schema"} if f"`{key}`" not in document]
        self.assertEqual(missing, [], f"not in docs/{name}.md")

    def assert_all_answered(self, ping, count, timeout=PATIENCE):
        report = self.report(ping, timeout)
        self.assertEqual((report["sent"], report["received"], report["lost"]), (count, count, 0), str(ping))
        self.assertLessEqual(report["min_us"], report["p50_us"])
        self.assertLessEqual(report["p50_us"], report["p99_us"])
        self.assertLessEqual(report["p99_us"], report["max_us"])
        return report

    def dpdk(self, mode, role, *arguments, id=0, device="", socket=None):  # pylint: disable=redefined-builtin
        """A DPDK testpmd with one memif port. As server it is returned when it listens; as client it connects once,
        at its start, so the other side must listen already. CMake lets only one test at a time do this."""
        program = shutil.which("dpdk-testpmd")
        self.assertIsNotNone(program, "dpdk-testpmd is missing: scripts/install-deps.sh test")
        path = Path(socket or self.socket)
        prefix = f"memif{os.getpid()}-{self.dir.name}-{role}-{path.stem}"
        runtime = Path("/var/run/dpdk" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "/tmp") + "/dpdk")
        self.addCleanup(shutil.rmtree, runtime / prefix, ignore_errors=True)
        cpu = min(os.sched_getaffinity(0))
        process = self.start(
            program, "--lcores", f"0@{cpu},2@{cpu}", "--no-huge", "-m", "128", "--no-pci", "--file-prefix", prefix,
            f"--vdev=net_memif0,role={role},socket={path},socket-abstract=no,id={id}{device}",
            "--", f"--forward-mode={mode}", "--stats-period", "1", "--no-mlockall", "--total-num-mbufs=4096", "-a",
            *arguments,
        )  # fmt: skip
        if role == "server":
            self.listening(process, path)
        return process
