"""The interpreter does not crash, whatever the order in which things end; nothing leaks."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import unittest
import weakref

import memif

SANITIZED = "MEMIF_SANITIZE" in os.environ


def run(program, code=0):
    """In an interpreter of its own; what it prints."""
    command = [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(program).replace('"@', f'"@{os.getpid()}-')]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != code:
        raise AssertionError(f"ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


PAIR = """
import gc, os, random, sys, threading, time
import memif
a, b = memif.pair()
a.tx[0].send([b"one", b"two" * 2000, b"three"])
rx = b.rx[0]
burst = rx.receive(2, timeout=5.0)
view, chain = burst
part = view[1:]
"""


class TheEnd(unittest.TestCase):
    def test_with_everything_alive(self):
        self.assertEqual(run(PAIR), "")

    def test_in_cycles_and_module_globals(self):
        self.assertEqual(run(PAIR + "x = [a, b, rx, burst, view, part]; x.append(x); sys.keep = x; memif.keep = x"), "")

    def test_with_destructors_that_use_everything(self):
        program = PAIR + """
class Late:
    def __init__(self, *things): self.things = things
    def __del__(self):
        a, b, rx, burst, view = self.things
        bytes(view)
        for call in (a.close, burst.release, rx.receive, lambda: rx.wait(0.01), lambda: a.tx[0].send([b"x"]),
                     lambda: a.tx[0].send([b"x" * 100000]), b.info, b.close, memif.Context, memif.pair):
            try:
                call()
            except Exception:
                pass
late = Late(a, b, rx, burst, view)
sys.late = [late]
"""
        self.assertEqual(run(program), "")

    def test_with_threads_in_every_wait(self):
        program = PAIR + """
del burst, view, chain, part
def waits(call):
    threading.Thread(target=call, daemon=True).start()
lonely = memif.Interface("@nobody-at-all")
c, d = memif.pair()
d.rx[0].mode = "polling"
def churn():
    while True:
        with memif.pair() as (x, y):
            x.tx[0].send([b"x"] * 10)
            y.rx[0].receive(timeout=1.0)
waits(lambda: rx.wait())
waits(lambda: c.rx[0].receive(timeout=None))
waits(lambda: d.rx[0].wait())
waits(lambda: lonely.wait_connected())
waits(lambda: [a.tx[0].send([b"x" * 50000] * 64, timeout=None) for _ in range(1000)])
waits(churn)
time.sleep(0.2)
"""
        for _ in range(3):
            run(program)

    def test_with_callbacks_on_their_way(self):
        program = """
import contextlib, memif, time
flips = []
def flip(port):
    flips.append(1)
    with contextlib.suppress(memif.ClosedError):  # the program may have ended meanwhile
        port.disconnect()
server = memif.Interface("@flips", role="server", on_connected=flip)
note = lambda port, why: flips.append(why)
clients = [memif.Interface("@flips", reconnect=0.001, on_disconnected=note) for _ in range(3)]
while len(flips) < 10: time.sleep(0.01)
"""
        self.assertEqual(run(program), "")

    def test_waits_for_a_callback_that_has_begun(self):
        program = """
import memif, threading, time
begun = threading.Event()
def slow(port):
    begun.set()
    time.sleep(0.5)
    print("done")
server = memif.Interface("@slow", role="server", on_connected=slow)
client = memif.Interface("@slow")
begun.wait(20)
"""
        self.assertEqual(run(program), "done\n")

    def test_by_exceptions_and_exits(self):
        self.assertIn("ZeroDivisionError", run(PAIR + "1 / 0", code=1))
        self.assertEqual(run(PAIR + "sys.exit(3)", code=3), "")
        self.assertEqual(run(PAIR + "os._exit(4)", code=4), "")
        self.assertIn("KeyboardInterrupt", run(PAIR + "os.kill(os.getpid(), 2); time.sleep(9)", code=-signal.SIGINT))

    def test_in_any_order(self):
        program = """
import gc, random, sys
import memif
for seed in range(60):
    random.seed(seed)
    a, b = memif.pair(ring_size=16, timeout=30.0)
    things = {"a": a, "b": b, "rx": b.rx[0], "tx": a.tx[0], "rx of a": a.rx[0]}
    a.tx[0].send([b"one", b"two" * 2000, b"three"])
    burst = things["burst"] = things["rx"].receive(2, timeout=5.0)
    things["view"], things["chain"] = burst
    things["part"] = things["view"][1:]
    things["more"] = memoryview(burst[0].obj)
    things["iterator"] = iter(burst)
    del a, b, burst
    names = list(things)
    random.shuffle(names)
    for name in names:
        thing = things.pop(name)
        for call in random.sample(["close", "release", "receive", "disconnect", "tobytes", "__next__", "fileno"], 3):
            try:
                getattr(thing, call)()
            except (AttributeError, BufferError, ValueError, StopIteration, memif.Error):
                pass
        del thing
        if random.random() < 0.3:
            gc.collect()
"""
        self.assertEqual(run(program), "")


class Forks(unittest.TestCase):
    def test_a_child_is_told_and_its_parent_notices_nothing(self):
        program = PAIR + """
held = bytes(view)
child = os.fork()
if child == 0:
    errors = 0
    for call in (rx.receive, a.info, lambda: a.tx[0].send([b"x"]), a.connect, lambda: rx.pending,
                 lambda: memif.Interface("@x", context=a.context)):
        try:
            call()
        except RuntimeError as error:
            errors += "fork" in str(error)
    a.close(), a.context.close(), b.close()
    del a, b, rx, burst, view, chain, part
    gc.collect()
    with memif.pair() as (c, d):  # with a context of its own
        c.tx[0].send([b"child"])
        assert d.rx[0].receive_bytes(timeout=5.0) == [b"child"]
    sys.exit(errors)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6
del part
assert view == held
assert rx.receive_bytes() == [b"three"]
assert a.tx[0].send([b"four"]) == 1 and rx.receive_bytes(timeout=5.0) == [b"four"]
assert a.connected and b.connected and a.tx[0].room == 1024
"""
        self.assertEqual(run(program), "")


class Garbage(unittest.TestCase):
    def test_an_interface_in_a_cycle_with_its_callbacks_is_collected(self):
        class Owner:
            def __init__(self):
                self.port = memif.Interface(f"@{os.getpid()}-cycle", role="server", on_connected=lambda port: self)

        owner = Owner()
        gone = weakref.ref(owner.port)
        del owner
        gc.collect()
        self.assertIsNone(gone())
        memif.Interface(f"@{os.getpid()}-cycle", role="server", context=memif.Context()).close()  # nobody listens there any more


class Leaks(unittest.TestCase):
    LINKS = 300 if SANITIZED else 2000

    def test_references_and_descriptors_over_links(self):
        """bench/python.py --links makes 10,000."""

        def round_trip(i):
            a, b = memif.pair(ring_size=16, on_connected=lambda port: None, on_disconnected=lambda port, why: None)
            a.tx[0].send([b"one", b"x" * 5000])
            b.rx[0].fileno()
            burst = b.rx[0].receive(timeout=5.0)
            part = burst[0][1:]
            if i % 2:
                a.close()
                b.close()
            del part

        def state():
            gc.collect()
            return len(os.listdir("/proc/self/fd")), len(gc.get_objects()), sys.getallocatedblocks()

        self.assertTrue(memif.Reason)  # its module is imported when it is first asked for
        for i in range(50):
            round_trip(i)
        self.settle()
        before = state()
        for i in range(self.LINKS):
            round_trip(i)
        self.settle()
        after = state()
        self.assertLessEqual(after[0], before[0])
        self.assertLess(after[1] - before[1], 50)
        self.assertLess(after[2] - before[2], self.LINKS / 10)

    @staticmethod
    def settle():
        """What was posted to the control thread is done when this is."""
        memif.Interface(f"@{os.getpid()}-settle", role="server").close()


if __name__ == "__main__":
    unittest.main()
