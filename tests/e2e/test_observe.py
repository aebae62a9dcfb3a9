"""Programs observed from outside: memif info --pid and --list, memif top, memif metrics."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import termios
import time
import unittest
from pathlib import Path

from raw_peer import RawClient
from support import MEMIF, PATIENCE, E2ETest, Process, wait_until

# Debian's parser is there for Debian's Python, whatever else is called python3.
PARSER = """
import json, sys
from prometheus_client.parser import text_string_to_metric_families as parse
print(json.dumps([[f.name, f.type, [[s.name, s.labels, s.value] for s in f.samples]] for f in parse(sys.stdin.read())]))
"""


def parse(text):
    """Samples of an exposition, as Prometheus' own parser reads it: {(name, labels): value}."""
    result = subprocess.run(["/usr/bin/python3", "-c", PARSER], input=text, capture_output=True, text=True, check=True)
    samples = {}
    for _, kind, family in json.loads(result.stdout):
        assert kind in ("counter", "gauge"), kind
        for name, labels, value in family:
            key = (name, tuple(sorted(labels.items())))
            assert key not in samples, key
            samples[key] = value
    return samples


# 500 interfaces of 256 queues each way, whose rings lie in as many files.
MANY_PUBLICATIONS = """
import fcntl, os, struct, time
for i in range(500):
    fd = os.memfd_create("memif-published", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 1 << 20)
    os.pwrite(fd, struct.pack("<QIiQIBBHHHI32s32s256s", 0x3062757066696D01, 1, os.getpid(), 0, i, 0, 0, 256, 256, 0, 0,
                              b"many", b"many", b"x" * 255), 0)
    ring = [struct.pack("<IIQHHiQ", 64, 0, 0, 0, 0, 3 + (i + j) % 500, 0) for j in range(512)]
    os.pwrite(fd, b"".join(ring), 384 + 704)
    fcntl.fcntl(fd, 1033, 2)  # F_ADD_SEALS, F_SEAL_SHRINK
    fcntl.lockf(fd, fcntl.LOCK_EX)
print("ready", flush=True)
time.sleep(600)
"""
# The same, and none of them is the program's own: it has no lock on them.
MANY_FORGED_PUBLICATIONS = MANY_PUBLICATIONS.replace("    fcntl.lockf(fd, fcntl.LOCK_EX)\n", "")
F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2


class ForgedPublication(RawClient):
    """A peer whose region has the name and the contents of a publication."""

    def __init__(self, path, pid):
        self.pid = pid
        super().__init__(path, region_name="memif-published")
        identity = struct.pack("<QIiQIBBHHHI32s32s256s", 0x3062757066696D01, 1, self.pid, 0, 7, 1, 0, 1, 1, 0, 0,
                               b"forged", b"forged", b"/forged.sock")  # fmt: skip
        os.pwrite(self.region, identity, 0)
        fcntl.fcntl(self.region, F_ADD_SEALS, F_SEAL_SHRINK)
        fcntl.lockf(self.region, fcntl.LOCK_EX)

    def rings_at(self):
        return 8192


class ObserveTest(E2ETest):
    def start(self, *command):
        """Everything that the test starts publishes."""
        os.environ["MEMIF_PUBLISH"] = "1"
        self.addCleanup(os.environ.pop, "MEMIF_PUBLISH", None)
        return super().start(*command)

    def traffic(self):
        """A responder that publishes and is pinged: for longer than any test."""
        responder = self.respond("192.168.7.2/24", role="server")
        ping = self.memif("ping", "--source", "192.168.7.1/24", "-i", "0.005", "-c", "100000", "192.168.7.2")
        self.interface(responder, lambda seen: seen["rx"][0]["packets"] > 5)
        return responder, ping

    def interface(self, process, condition=lambda seen: True):
        """What `memif info --pid` shows of the only interface of a process, once `condition` is true of it."""

        def look():
            self.assertTrue(process.running(), str(process))
            info = subprocess.run([MEMIF, "info", "--json", "--pid", str(process.pid)], capture_output=True, text=True,
                                  timeout=PATIENCE, check=False)
            if info.returncode != 0:
                return None
            report = json.loads(info.stdout)
            self.assertEqual(report["schema"], "memif-info/1")
            (seen,) = report["interfaces"]
            return seen if condition(seen) else None

        return wait_until(look, f"memif info of {process}")

    def command(self, *arguments, **options):
        return subprocess.run([MEMIF, *(str(a) for a in arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE, check=False, **options)


class InfoTest(ObserveTest):
    def test_everything_that_is_known_of_a_link(self):
        responder, ping = self.traffic()
        seen = self.interface(responder)
        self.assertEqual((seen["socket"], seen["id"], seen["role"]), (str(self.socket), 0, "server"))
        self.assertEqual(seen["process"]["pid"], responder.pid)
        self.assertEqual(seen["peer"]["process"]["pid"], ping.pid)
        self.assertEqual(seen["peer"]["app_name"], "memif")
        self.assertEqual((seen["connected"], seen["connects"]), (True, 1))
        self.assertEqual(len(seen["regions"]), 1)
        for queue in seen["rx"] + seen["tx"]:
            self.assertEqual(queue["ring_size"], 1024)
            self.assertLessEqual(queue["used"], 1024)
        text = self.command("info", "--pid", responder.pid)
        self.assertEqual(text.returncode, 0, text.stderr)
        for words in ("up, to memif", f"pid {ping.pid}", "1024 descriptors", "interrupts"):
            self.assertIn(words, text.stdout)

    def test_an_ended_link_tells_why(self):
        responder, ping = self.traffic()
        ping.terminate()
        seen = self.interface(responder, lambda seen: not seen["connected"])
        self.assertNotIn("peer", seen)
        self.assertEqual(seen["disconnects"], 1)
        self.assertTrue(seen["last_reason"]["from_peer"])
        self.assertTrue(seen["last_reason"]["text"])

    def test_list_of_programs(self):
        responder, ping = self.traffic()
        listed = self.command("info", "--list")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        for process in (responder, ping):
            self.assertRegex(listed.stdout, rf"(?m)^ *{process.pid} memif .*{re.escape(str(self.socket))} id 0, up")

    def test_a_stopped_program_can_still_be_observed(self):
        responder, _ = self.traffic()
        responder.popen.send_signal(signal.SIGSTOP)
        self.addCleanup(responder.popen.send_signal, signal.SIGCONT)
        self.assertGreater(self.interface(responder)["rx"][0]["packets"], 0)

    def test_nothing_is_left_of_a_killed_program(self):
        responder = self.respond("192.168.7.2/24", role="server")
        self.interface(responder)
        responder.kill()
        info = self.command("info", "--pid", responder.pid)
        self.assertEqual(info.returncode, 3, info.stdout)
        self.assertIn("process", info.stderr)

    def test_what_a_peer_names_as_a_publication_is_not_believed(self):
        responder = self.respond("192.168.7.2/24", role="server")
        self.interface(responder)
        forged = ForgedPublication(self.socket, responder.pid)
        self.addCleanup(forged.close)
        seen = self.interface(responder, lambda seen: seen["connected"])
        self.assertEqual((seen["socket"], seen["app_name"]), (str(self.socket), "memif"))
        for arguments in (("info", "--list"), ("metrics", "--once", "--pid", responder.pid)):
            command = self.command(*arguments)
            self.assertEqual(command.returncode, 0, command.stderr)
            lines = [line for line in command.stdout.splitlines() if re.search(rf"\b{responder.pid}\b", line)]
            self.assertTrue(lines, command.stdout)
            self.assertNotIn("forged", "".join(lines))  # but what the forger shows of itself is its own matter

    def assert_cost_little(self, publications):
        """What that Python program publishes, beside an interface that is to be seen."""
        responder = self.respond("192.168.7.2/24", role="server")
        self.interface(responder)
        publisher = super(ObserveTest, self).start("/usr/bin/env", "python3", "-c", publications)
        publisher.wait_for_output("ready")
        before = time.monotonic()
        # AddressSanitizer takes terabytes of addresses.
        limit = "" if b"__asan_init" in Path(MEMIF).read_bytes() else "ulimit -v 300000;"
        metrics = subprocess.run(["/usr/bin/env", "bash", "-c", f"{limit} exec {MEMIF} metrics --once"],
                                 capture_output=True, text=True, timeout=PATIENCE, check=False)  # fmt: skip
        # observing.md: a second by the clock for one program, two for a user, 6 s for all that there are.
        self.assertLess(time.monotonic() - before, 6)
        self.assertEqual(metrics.returncode, 0, metrics.stderr)
        self.assertIn(f'pid="{responder.pid}"', metrics.stdout)
        self.assertGreater(parse(metrics.stdout)[("memif_publications_skipped", ())], 0)
        self.assertLess(len(metrics.stdout), 64 << 20)

    def test_many_publications_cost_little(self):
        self.assert_cost_little(MANY_PUBLICATIONS)

    def test_many_forged_publications_cost_little(self):
        self.assert_cost_little(MANY_FORGED_PUBLICATIONS)

    def test_a_program_that_does_not_publish(self):
        quiet = Process(["env", "-u", "MEMIF_PUBLISH", MEMIF, "respond", "--socket", self.socket, "--role", "server",
                         "192.168.7.2/24"])
        self.addCleanup(quiet.close)
        self.listening(quiet)
        info = self.command("info", "--pid", quiet.pid)
        self.assertEqual(info.returncode, 3, info.stdout)
        self.assertIn("MEMIF_PUBLISH=1", info.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_another_user_sees_nothing(self):
        responder = self.respond("192.168.7.2/24", role="server")
        self.interface(responder)
        self.dir.chmod(0o711)
        shutil.copy(MEMIF, self.dir / "memif-copy")
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", self.dir / "memif-copy"]
        info = subprocess.run([*nobody, "info", "--pid", str(responder.pid)], capture_output=True, text=True, check=False)
        self.assertEqual((info.returncode, info.stdout), (1, ""), info.stderr)
        self.assertIn("only its own user and root", info.stderr)
        listed = subprocess.run([*nobody, "info", "--list"], capture_output=True, text=True, check=True)
        self.assertNotIn(str(responder.pid), listed.stdout)


class TopTest(ObserveTest):
    def test_rates_as_json(self):
        responder, _ = self.traffic()
        top = self.start(MEMIF, "top", "--json", "--count", "2", "--interval", "200ms", "--pid", responder.pid)
        self.assert_exit(top, 0)
        reports = [json.loads(line) for line in top.stdout.splitlines()]
        self.assertEqual([report["schema"] for report in reports], ["memif-top/1"] * 2)
        for report in reports:
            (seen,) = report["interfaces"]
            self.assertGreater(report["interval_s"], 0.1)
            self.assertGreater(seen["rx"][0]["packets_per_s"], 0)
            self.assertGreater(seen["tx"][0]["bits_per_s"], 0)

    def test_text_where_there_is_no_terminal(self):
        responder, _ = self.traffic()
        top = self.command("top", "--once", "--interval", "200ms", "--pid", responder.pid)
        self.assertEqual(top.returncode, 0, top.stderr)
        self.assertNotIn("\x1b", top.stdout)
        heading, row = top.stdout.splitlines()[1:3]
        self.assertIn("RX/s", heading)
        self.assertIn(str(responder.pid), row)

    def test_nobody_to_observe(self):
        top = self.command("top", "--once", "--pid", os.getpid())
        self.assertEqual(top.returncode, 3, top.stdout)

    watched = None

    def on_a_terminal(self, end, code=0, whole=True):
        """`memif top` on a terminal of 100 columns and 10 rows, ended by end(top, keyboard)."""
        self.watched = self.watched or self.traffic()[0]
        keyboard, terminal = pty.openpty()
        self.addCleanup(os.close, keyboard)
        self.addCleanup(os.close, terminal)
        termios.tcsetwinsize(terminal, (10, 100)) if hasattr(termios, "tcsetwinsize") else subprocess.run(
            ["stty", "rows", "10", "cols", "100"], stdin=terminal, check=True)
        before = termios.tcgetattr(terminal)
        top = subprocess.Popen([MEMIF, "top", "--interval", "200ms", "--pid", str(self.watched.pid)], stdin=terminal,
                               stdout=terminal, stderr=subprocess.PIPE)
        self.addCleanup(top.stderr.close)
        self.addCleanup(top.kill)
        seen = bytearray()

        def shown():
            while select.select([keyboard], [], [], 0)[0]:
                seen.extend(os.read(keyboard, 65536))
            return seen

        wait_until(lambda: shown().count(b"memif top") >= 3, "three screens of memif top")
        self.assertNotEqual(termios.tcgetattr(terminal), before)
        end(top, keyboard)
        wait_until(lambda: shown() and top.poll() is not None, "the end of memif top")
        self.assertEqual(top.returncode, code, top.stderr.read())
        text = shown().decode()
        self.assertTrue(text.startswith("\x1b[?1049h"), text[:40])
        self.assertTrue(text.endswith("\x1b[?25h\x1b[?1049l") or not whole, text[-40:])
        self.assertEqual(termios.tcgetattr(terminal), before)
        for line in re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", text).split("\r\n"):
            self.assertLessEqual(len(line), 100, line)

    def test_a_key_ends_it_and_the_terminal_is_as_before(self):
        self.on_a_terminal(lambda top, keyboard: os.write(keyboard, b"dq"))

    def test_a_signal_ends_it_and_the_terminal_is_as_before(self):
        for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(asked):
                self.on_a_terminal(lambda top, keyboard, asked=asked: top.send_signal(asked))

    def test_a_signal_that_kills_it_leaves_the_terminal_as_before(self):
        for deadly in (signal.SIGQUIT, signal.SIGUSR1, signal.SIGABRT, signal.SIGSEGV):
            with self.subTest(deadly):
                self.on_a_terminal(lambda top, keyboard, deadly=deadly: top.send_signal(deadly), code=-deadly)

    def test_so_does_a_second_signal_while_the_terminal_takes_nothing(self):
        def end(top, keyboard):
            os.write(keyboard, b"\x13")  # Ctrl+S
            wait_until(lambda: top.send_signal(signal.SIGTERM) or top.poll() is not None, "the end of memif top")
            os.write(keyboard, b"\x11")  # Ctrl+Q

        self.on_a_terminal(end, code=-signal.SIGTERM, whole=False)


class MetricsTest(ObserveTest):
    def serve(self, *arguments):
        """A server on a port of its own, and its URL."""
        metrics = self.start(MEMIF, "metrics", "--listen", "127.0.0.1:0", *arguments)
        metrics.wait_for_output("/metrics")
        return metrics, re.search(r"http://\S+", metrics.stderr)[0]

    def curl(self, *arguments):
        return subprocess.run(["curl", "-sS", "--max-time", "20", "-w", "%{http_code}", *arguments], capture_output=True,
                              text=True, check=True).stdout

    def test_prometheus_reads_what_is_served(self):
        responder, _ = self.traffic()
        metrics, url = self.serve()
        answer = self.curl("-H", "Accept: text/plain", url)
        self.assertTrue(answer.endswith("200"))
        samples = parse(answer[:-3])
        port = {"pid": str(responder.pid), "socket": str(self.socket), "id": "0", "role": "server"}

        def value(name, **more):
            return samples[(name, tuple(sorted({**port, **more}.items())))]

        self.assertEqual(value("memif_up"), 1)
        self.assertGreater(value("memif_rx_packets_total", queue="0"), 5)
        self.assertGreater(value("memif_tx_bytes_total", queue="0"), 5 * 64)
        self.assertEqual(value("memif_rx_dropped_total", queue="0", reason="descriptor"), 0)
        self.assertEqual(value("memif_rx_ring_size", queue="0"), 1024)
        self.assertEqual(metrics.terminate(), 0)

    def test_only_get_of_metrics(self):
        metrics, url = self.serve()
        self.assertTrue(self.curl(url.replace("/metrics", "/other")).endswith("404"))
        self.assertTrue(self.curl("-X", "POST", "-d", "x=1", url).endswith("405"))
        self.assertTrue(self.curl("-I", url).endswith("200"))
        self.assertTrue(metrics.running())

    def test_connections_and_requests_that_lead_nowhere(self):
        metrics, url = self.serve()
        host, port = re.search(r"//([^:]+):(\d+)/", url).groups()
        idle = [socket.create_connection((host, int(port)), PATIENCE) for _ in range(64)]
        for number, connection in enumerate(idle):
            try:
                connection.sendall([b"GET /metrics HT", b"\0" * 100, b"x" * 100000][number % 3])
            except OSError:
                pass  # refused already
        self.assertLess(metrics.fds(), 60)
        for connection in idle:
            connection.close()
        wait_until(lambda: self.curl("--retry", "20", "--retry-all-errors", url).endswith("200"), "an answer")

    def test_a_file_for_the_node_exporter(self):
        responder, _ = self.traffic()
        file = self.dir / "memif.prom"
        metrics = self.start(MEMIF, "metrics", "--file", file, "--interval", "100ms", "--pid", responder.pid)
        wait_until(file.exists, str(file))

        def packets():
            samples = parse(file.read_text())
            return sum(value for (name, _), value in samples.items() if name == "memif_rx_packets_total")

        first = packets()
        wait_until(lambda: packets() > first, "a newer file")
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o644)
        self.assertEqual(metrics.terminate(), 0)
        self.assertEqual([name.name for name in self.dir.glob("memif.prom*")], ["memif.prom"])

    def test_what_cannot_be(self):
        for address in ("somewhere", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:0x10"):
            self.assertEqual(self.command("metrics", "--listen", address).returncode, 2, address)
        self.assertEqual(self.command("metrics", "--file", self.dir / "no" / "file", "--once").returncode, 1)
        metrics, url = self.serve()
        self.assertEqual(self.command("metrics", "--listen", url.split("/")[2]).returncode, 1)
        self.assertTrue(metrics.running())


if __name__ == "__main__":
    unittest.main()
