"""Sending and receiving, configuration, errors, callbacks, counters."""

import contextlib
import gc
import os
import re
import select
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

import numpy

import memif

SOURCE = Path(__file__).resolve().parents[2]


def at(name):
    """A socket that no other process has."""
    return f"@{os.getpid()}-{name}"


class Sending(unittest.TestCase):
    def setUp(self):
        self.a, self.b = memif.pair(ring_size=16)
        self.addCleanup(self.b.close)
        self.addCleanup(self.a.close)
        self.tx, self.rx = self.a.tx[0], self.b.rx[0]

    def test_everything_that_is_bytes_like(self):
        packets = [b"bytes", bytearray(b"bytearray"), memoryview(b"view")[1:], numpy.arange(5, dtype=numpy.uint16)]
        self.assertEqual(self.tx.send(packets), 4)
        self.assertEqual(self.rx.receive_bytes(timeout=5.0), [bytes(packet) for packet in packets])

    def test_iterables(self):
        for packets in ((b"a", b"b"), iter([b"a", b"b"]), {b"a": 1, b"b": 2}):
            self.assertEqual(self.tx.send(packets), 2)
            self.assertEqual(self.rx.receive_bytes(timeout=5.0), [b"a", b"b"])
        self.assertEqual(self.tx.send([]), 0)

    def test_rows_of_an_array(self):
        array = numpy.arange(40, dtype=numpy.uint8).reshape(4, 10)
        for rows in (array, array[:, 2:7], array[::-2]):
            self.assertEqual(self.tx.send(rows), len(rows))
            self.assertEqual(self.rx.receive_bytes(timeout=5.0), [bytes(row) for row in rows])
        for wrong in (array[:, ::2], array.T, array[0], array.reshape(2, 2, 10)):
            with self.assertRaisesRegex(TypeError, "two-dimensional"):
                self.tx.send(wrong)

    def test_a_burst(self):
        self.assertEqual(self.tx.send([b"one", b"x" * 5000]), 2)
        burst = self.rx.receive(timeout=5.0)
        self.assertEqual(self.b.tx[0].send(burst), 2)
        self.assertEqual(self.a.rx[0].receive_bytes(timeout=5.0), [b"one", b"x" * 5000])
        self.assertEqual(self.b.tx[0].send(self.rx.receive()), 0)

    def test_what_is_no_packet(self):
        for wrong, text in ((b"one", "two-dim"), ("text", "not str"), ([1], "not int"), (1, "list of packets")):
            with self.assertRaisesRegex(TypeError, text):
                self.tx.send(wrong)
        self.tx.send([b"ok"])
        with self.assertRaisesRegex(ValueError, "packet 1 is empty"):
            self.tx.send([b"first", b"", b"last"])
        with self.assertRaisesRegex(ValueError, "packet 0 has 40000 bytes"):
            self.tx.send([b"x" * 40000], timeout=1.0) if self.rx.receive_bytes(timeout=5.0) else None
        self.assertEqual(self.rx.receive_bytes(), [])

    def test_a_full_ring(self):
        self.assertEqual(self.tx.send([b"x"] * 20), 16)
        self.assertEqual(self.tx.room, 0)
        started = time.monotonic()
        self.assertEqual(self.tx.send([b"x"], timeout=0.05), 0)
        self.assertGreater(time.monotonic() - started, 0.04)

        def read():
            with contextlib.suppress(memif.ClosedError):
                while True:
                    self.rx.receive_bytes(timeout=5.0)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        self.assertEqual(self.tx.send([b"y"] * 5000, timeout=30.0), 5000)
        self.a.close()
        self.b.close()
        reader.join()

    def test_long_packets_in_both_roles(self):
        """Long enough to be copied without the interpreter's lock."""
        packets = [bytes([i]) * 20000 for i in range(5)]
        with memif.pair() as (a, b):
            for one, other in ((a, b), (b, a)):
                self.assertEqual(one.tx[0].send(packets), 5)
                self.assertEqual([bytes(view) for view in other.rx[0].receive(timeout=5.0)], packets)
                self.assertEqual(one.tx[0].send(numpy.frombuffer(b"".join(packets), numpy.uint8).reshape(5, -1)), 5)
                self.assertEqual(other.rx[0].receive_bytes(timeout=5.0), packets)

    def test_lock_step_echo_of_300_packets_in_1243_fragments(self):
        sizes = [2048 * 4 if i < 43 else 2048 * 3 + 1 + i for i in range(257)] + [2048 * 4 + 1] * 43
        self.assertEqual(sum(-(-size // 2048) for size in sizes), 1243)
        self.assertEqual(len(sizes), 300)
        with memif.pair() as (a, b):
            for i, size in enumerate(sizes):
                packet = i.to_bytes(2, "big") + os.urandom(size - 2)
                self.assertEqual(a.tx[0].send([packet]), 1)
                self.assertEqual(b.tx[0].send(b.rx[0].receive(timeout=5.0)), 1)
                self.assertEqual(a.rx[0].receive_bytes(timeout=5.0), [packet])
            self.assertEqual(b.rx[0].counters().packets, 300)
            self.assertEqual(a.rx[0].counters().bytes, sum(sizes))

    def test_several_threads_send(self):
        with memif.pair() as (a, b):

            def work(number):
                for i in range(50):
                    a.tx[0].send([bytes([number]) * 40000], timeout=30.0)

            threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
            for thread in threads:
                thread.start()
            got = []
            while len(got) < 150:
                got += b.rx[0].receive_bytes(timeout=10.0)
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(got), sorted(bytes([i]) * 40000 for i in range(3) for _ in range(50)))

    def test_a_second_thread_that_receives_is_refused(self):
        with memif.pair() as (a, b):
            waiter = threading.Thread(target=b.rx[0].wait, args=(None,))
            waiter.start()
            deadline = time.monotonic() + 20
            with self.assertRaisesRegex(RuntimeError, "another thread"):
                while time.monotonic() < deadline:
                    b.rx[0].receive()
            a.tx[0].send([b"x"])
            waiter.join()
            self.assertEqual(b.rx[0].receive_bytes(), [b"x"])


class Waiting(unittest.TestCase):
    def test_time_outs(self):
        with memif.pair() as (_, b):
            for mode in ("polling", "interrupt", "adaptive"):
                b.rx[0].mode = mode
                for call in (b.rx[0].wait, b.rx[0].receive, b.rx[0].receive_bytes):
                    started = time.monotonic()
                    self.assertFalse(call(timeout=0.05))
                    self.assertGreaterEqual(time.monotonic() - started, 0.05)
            with self.assertRaises(ValueError):
                b.rx[0].mode = "asleep"
            for wrong, error in ((-1, ValueError), (float("nan"), ValueError), ("1", TypeError)):
                with self.assertRaises(error):
                    b.rx[0].wait(wrong)

    def test_packets_wake_in_every_mode(self):
        with memif.pair() as (a, b):
            for mode in ("polling", "interrupt", "adaptive"):
                b.rx[0].mode = mode
                timer = threading.Timer(0.02, a.tx[0].send, ([b"x"],))
                timer.start()
                self.assertEqual(b.rx[0].receive_bytes(timeout=None), [b"x"])
                timer.join()

    def test_close_wakes(self):
        for mode in ("polling", "interrupt", "adaptive"):
            a, b = memif.pair(rx_mode=mode)
            timer = threading.Timer(0.02, b.close)
            timer.start()
            with self.assertRaises(memif.ClosedError):
                b.rx[0].wait()
            timer.join()
            a.close()

    def test_select_over_two_links(self):
        with memif.pair(reconnect=0.01) as (a, b):
            fd = b.rx[0].fileno()
            for _ in range(3):
                timer = threading.Timer(0.01, a.tx[0].send, ([b"x"],))
                timer.start()
                while not b.rx[0].pending:
                    if b.rx[0].arm():
                        self.assertTrue(select.select([b.rx[0]], [], [], 10)[0])
                    b.rx[0].disarm()
                timer.join()
                self.assertEqual(b.rx[0].receive_bytes(), [b"x"])
                self.assertEqual(b.rx[0].fileno(), fd)
                a.disconnect()
                b.wait_connected(10.0)
                a.wait_connected(10.0)

    def test_a_signal_ends_every_wait_at_once(self):
        calls = (
            "b.rx[0].wait()", "b.rx[0].receive(timeout=None)", "b.rx[0].receive_bytes(timeout=None)",
            "memif.Interface('@nobody-there').wait_connected()", "a.tx[0].send([b'x'] * 5000, timeout=None)",
            "setattr(b.rx[0], 'mode', 'polling'), b.rx[0].wait()",
        )  # fmt: skip
        for call in calls:
            program = f"""
import memif, signal, time, threading, os
a, b = memif.pair()
then = []
def interrupt():
    time.sleep(0.1)
    then.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    {call}
except KeyboardInterrupt:
    print(time.monotonic() - then[0])
"""
            done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
            self.assertLess(float(done.stdout), 1.0, call)
            self.assertEqual(done.stderr, "", call)


class Interfaces(unittest.TestCase):
    def test_every_keyword(self):
        with memif.Interface(
            at("every"), id=3, role="server", mode="ip", secret="s", name="n", rx_queues=2, tx_queues=3, ring_size=64,
            buffer_size=512, headroom=16, max_packet=9000, rx_mode="interrupt", spin=0.001, reconnect=1.5,
            handshake_timeout=2, huge_pages=False, prefault=True, require_sealed_memory=True, max_peer_memory=1 << 30,
            allowed_users=[os.getuid()], allowed_groups=(os.getgid(),), context=memif.Context("app"),
        ) as port:  # fmt: skip
            self.assertEqual((len(port.rx), len(port.tx), port.rx[1].mode), (2, 3, "interrupt"))
            self.assertEqual((port.socket, port.id, port.role, port.mode, port.name), (at("every"), 3, "server", "ip", "n"))
            client = memif.Interface(at("every"), id=3, mode="ip", secret="s", rx_queues=3, tx_queues=2, headroom=16)
            client.wait_connected(10.0)
            port.wait_connected(10.0)
            self.assertEqual(client.info().peer.app_name, "app")
            self.assertEqual(len(client.info().rx), 3)
            client.close()

    def test_values_out_of_range(self):
        for keywords, text in (
            ({"rx_queues": 70000}, "rx_queues is 70000"), ({"id": -1}, "id is -1"), ({"ring_size": 3}, "ring_size"),
            ({"id": 1 << 80}, "id is 1208925819614629174706176"), ({"spin": -1}, "spin"), ({"mode": "tcp"}, "mode is"),
            ({"reconnect": float("nan")}, "reconnect"), ({"secret": "x" * 25}, "secret"),
        ):  # fmt: skip
            with self.assertRaisesRegex(memif.ConfigError, text) as caught:
                memif.Interface(at("range"), **keywords)
            self.assertIs(caught.exception.code, memif.Errc.invalid_config)
            self.assertIsInstance(caught.exception, ValueError)
        for keywords in ({"id": "1"}, {"id": 1.5}, {"colour": 1}):
            with self.assertRaises(TypeError):
                memif.Interface(at("range"), **keywords)

    def test_system_errors_are_os_errors(self):
        with self.assertRaises(FileNotFoundError):
            memif.Interface("/nowhere/at/all.sock", role="server")
        with self.assertRaises(OSError):
            memif.Interface(at("nobody")).connect()

    def test_the_reason_of_a_refusal(self):
        with memif.Interface(at("secret"), role="server", secret="right"):
            client = memif.Interface(at("secret"), secret="wrong", reconnect=0.05)
            with self.assertRaises(memif.TimeoutError) as caught:
                client.wait_connected(0.5)
            self.assertIsInstance(caught.exception, TimeoutError)
            self.assertIsInstance(caught.exception.__cause__, memif.RefusedError)
            self.assertTrue(client.info().last_reason.from_peer)
            client.close()

    def test_callbacks(self):
        events, done = [], threading.Event()
        with memif.Interface(at("callbacks"), role="server") as server:
            port = memif.Interface(
                at("callbacks"),
                on_connected=lambda port: (events.append(port), port.disconnect("enough")),
                on_disconnected=lambda port, reason: (events.append(reason), port.close(), done.set()),
            )
            self.assertTrue(done.wait(10))
            self.assertTrue(port.closed)
            self.assertIs(events[0], port)
            self.assertEqual(events[1].code, memif.Errc.closed)
            del events[:]
            self.assertFalse(server.closed)

    def test_both_ends_are_told_of_a_refusal(self):
        refusals = {"server": [], "client": []}
        both = threading.Barrier(3)

        def note(port, reason):
            if not refusals[port.role]:
                refusals[port.role].append((reason.code, reason.text))
                both.wait(10)

        contexts = [memif.Context(), memif.Context()]
        server = memif.Interface(at("refused"), role="server", secret="right", on_refused=note, context=contexts[0])
        client = memif.Interface(at("refused"), secret="wrong", on_refused=note, context=contexts[1])
        both.wait(10)
        self.assertEqual(refusals["server"][0][0], memif.Errc.wrong_secret)
        self.assertEqual(refusals["client"][0][1], refusals["server"][0][1])
        for one in (client, server, *contexts):
            one.close()

    def test_an_exception_in_a_callback_is_told_and_harms_nobody(self):
        told, done = [], threading.Event()
        self.addCleanup(setattr, sys, "unraisablehook", sys.unraisablehook)
        sys.unraisablehook = lambda what: (told.append(what.exc_type), done.set())
        with memif.Interface(at("raises"), role="server", on_connected=lambda port: 1 / 0) as server:
            with memif.Interface(at("raises")) as client:
                client.wait_connected(10.0)
                server.wait_connected(10.0)
                self.assertTrue(done.wait(10))
                client.tx[0].send([b"x"])
                self.assertEqual(server.rx[0].receive_bytes(timeout=5.0), [b"x"])
        self.assertEqual(told, [ZeroDivisionError])

    def test_log(self):
        lines = []
        with memif.Context(log=lambda level, text: lines.append((level, text))) as context:
            with memif.Interface(at("log"), role="server", context=context):
                with memif.Interface(at("log"), context=context) as client:
                    client.wait_connected(10.0)
        self.assertLessEqual({level for level, _ in lines}, {"debug", "info", "warning", "error"})
        self.assertTrue(lines)

    def test_a_context_closes_its_interfaces(self):
        with memif.Context() as context:
            port = memif.Interface(at("context-end"), role="server", context=context)
        self.assertTrue(port.closed and context.closed)
        port.close()
        context.close()
        with self.assertRaises(memif.ClosedError):
            memif.Interface(at("context-end"), context=context)
        for call in (port.info, port.connect, port.wait_connected, port.rx[0].wait, lambda: port.tx[0].send([b"x"])):
            with self.assertRaises(memif.ClosedError):
                call()

    def test_an_interface_lives_as_long_as_one_of_its_queues(self):
        with memif.Interface(at("queue-holds"), role="server") as server:
            tx = memif.Interface(at("queue-holds")).tx[0]
            server.wait_connected(10.0)
            self.assertEqual(tx.send([b"x"], timeout=5.0), 1)
            self.assertEqual(server.rx[0].receive_bytes(timeout=5.0), [b"x"])
            del tx
            gc.collect()
            deadline = time.monotonic() + 10
            while server.connected and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertFalse(server.connected)

    def test_names_are_those_of_the_headers(self):
        names = re.search(r"enum class Errc \{(.*?)\};", (SOURCE / "include/memif/error.hpp").read_text(), re.S)[1]
        self.assertEqual(re.findall(r"^  (\w+)", names, re.M), [code.name for code in memif.Errc])
        with memif.pair() as (a, b):  # a counter more, or less, does not fit the dataclasses
            self.assertEqual(a.rx[0].counters().packets + a.tx[0].counters().packets, 0)
            info = b.info()
            self.assertEqual((info.connected, info.connects, info.peer.credentials.uid), (True, 1, os.getuid()))
            self.assertEqual((info.rx[0].ring_size, info.tx[0].buffer_size), (1024, 2048))
            b.disconnect("for a reason")
            self.assertEqual(b.info().last_reason.code, memif.Errc.closed)


if __name__ == "__main__":
    unittest.main()
