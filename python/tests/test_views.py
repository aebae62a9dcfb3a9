"""Views of packets end with their burst: none is ever of memory that is the peer's again, or gone."""

import contextlib
import gc
import unittest
import weakref

import numpy

import memif


class Views(unittest.TestCase):
    def setUp(self):
        self.a, self.b = memif.pair(ring_size=16)
        self.addCleanup(self.b.close)
        self.addCleanup(self.a.close)
        self.tx, self.rx = self.a.tx[0], self.b.rx[0]

    def receive(self, *packets, **keywords):
        self.assertEqual(self.tx.send(packets), len(packets))
        return self.rx.receive(timeout=5.0, **keywords)

    def assert_dead(self, view):
        with self.assertRaisesRegex(ValueError, "released memoryview"):
            view[0]

    def taken_back(self):
        """Whether the sender can use all of its ring again."""
        return self.tx.room == 16

    def test_views_are_read_only_and_of_the_peers_memory(self):
        view = self.receive(b"abc")[0]
        burst = self.receive(b"abc")
        self.assertTrue(burst[0].readonly)
        self.assertEqual((burst[0].format, burst[0].nbytes, burst[0].contiguous), ("B", 3, True))
        with self.assertRaises(TypeError):
            burst[0][0] = 1
        self.assert_dead(view)

    def test_release_ends_them(self):
        burst = self.receive(b"one", b"two")
        views = list(burst)
        burst.release()
        for view in views:
            self.assert_dead(view)
        for use in (lambda: burst[0], lambda: list(burst), lambda: self.tx.send(burst)):
            with self.assertRaisesRegex(ValueError, "ended"):
                use()
        burst.release()
        self.assertTrue(self.taken_back())
        self.assertEqual(repr(burst), "<memif.Burst of 2 packets, ended>")

    def test_with_ends_them(self):
        with self.receive(b"one") as burst:
            view = burst[0]
        self.assert_dead(view)
        self.assertTrue(self.taken_back())

    def test_the_next_call_of_the_queue_ends_them(self):
        calls = (self.rx.receive, self.rx.receive_bytes, lambda: self.rx.wait(0), self.rx.arm, self.rx.fileno)
        for call in calls:
            burst = self.receive(b"one")
            view = burst[0]
            call()
            self.assert_dead(view)
            with self.assertRaisesRegex(ValueError, "ended"):
                burst[0]
            self.rx.disarm()

    def test_asking_whether_there_is_more_does_not(self):
        burst = self.receive(b"one")
        self.assertFalse(self.rx.pending)
        self.tx.send([b"two"])
        self.assertTrue(self.rx.pending)
        self.assertEqual(burst[0], b"one")

    def test_they_live_without_the_burst_object_until_the_next_call(self):
        views = list(self.receive(b"one", b"two"))
        self.assertEqual(views, [b"one", b"two"])
        self.assertFalse(self.taken_back())
        self.rx.receive()
        for view in views:
            self.assert_dead(view)

    def test_the_memory_goes_back_when_nobody_has_any(self):
        burst = self.receive(b"one", b"two")
        view = burst[1]
        del burst
        self.assertFalse(self.taken_back())
        del view
        self.assertTrue(self.taken_back())

    def test_a_burst_that_nobody_looked_at_goes_back_when_it_is_dropped(self):
        self.receive(b"one")
        self.assertTrue(self.taken_back())

    def test_a_slice_keeps_the_burst_from_ending(self):
        burst = self.receive(b"abcd")
        part = burst[0][1:3]
        self.tx.send([b"next"])
        for call in (burst.release, self.rx.receive, self.rx.receive_bytes, lambda: self.rx.wait(0), self.rx.arm):
            with self.assertRaisesRegex(BufferError, "1 packets of the last burst are in use"):
                call()
            self.assertEqual(part, b"bc")
            self.assertFalse(self.taken_back())
        del part
        self.assertEqual(self.rx.receive_bytes(), [b"next"])

    def test_an_array_keeps_the_burst_from_ending(self):
        burst = self.receive(b"abcd", b"efgh")
        view, array = burst[0], numpy.frombuffer(burst[0], dtype=numpy.uint8)
        self.assertFalse(array.flags.writeable)
        with self.assertRaises(BufferError), burst:
            pass
        self.assertEqual(bytes(array), b"abcd")
        del array
        burst.release()
        self.assert_dead(view)

    def test_an_exception_is_not_replaced_by_that(self):
        with self.assertRaises(KeyError), self.receive(b"abcd") as burst:
            part = burst[0][1:]
            raise KeyError
        self.assertEqual(part, b"bcd")
        with self.assertRaises(BufferError):
            self.rx.receive()

    def test_the_exporter_of_a_view_gives_nothing_after_the_end(self):
        burst = self.receive(b"abcd")
        exporter = burst[0].obj
        self.assertEqual(memoryview(exporter), b"abcd")
        burst.release()
        with self.assertRaisesRegex(BufferError, "ended"):
            memoryview(exporter)
        with self.assertRaises(TypeError):
            type(exporter)()
        with self.assertRaises(TypeError):
            memif.Burst()

    def test_views_outlive_the_link_and_the_interface(self):
        """The queue keeps the link's memory until its next call, and that is refused."""
        part = self.receive(b"abcd")[0][1:]
        self.b.disconnect()
        self.a.wait_connected(10.0)
        self.b.wait_connected(10.0)
        with self.assertRaises(BufferError):
            self.rx.receive()
        self.assertFalse(self.rx.pending)
        self.a.close()
        self.b.close()
        gc.collect()
        self.assertEqual(part, b"bcd")
        with self.assertRaises(BufferError):
            self.rx.wait(1.0)
        del part
        with self.assertRaises(memif.ClosedError):
            self.rx.receive()

    def test_views_outlive_everything_else(self):
        view = self.receive(b"abcd")[0]
        self.a.close()
        self.b.close()
        del self.a, self.b, self.rx, self.tx
        self.doCleanups()
        gc.collect()
        self.assertEqual(view, b"abcd")

    def test_who_hears_of_a_views_end_may_use_everything(self):
        heard = []

        def hear(reference):
            for call in (burst.release, self.rx.receive, lambda: burst[1], gc.collect):
                heard.append(call)
                with contextlib.suppress(BufferError, RuntimeError, ValueError):
                    call()

        for end in ("burst.release()", "self.rx.receive()", "del burst"):
            burst = self.receive(b"one", b"two")
            references = [weakref.ref(view, hear) for view in burst]
            exec(end, {"self": self, "burst": burst})
            burst = self.rx.receive()
            self.assertTrue(heard)
            self.assertEqual([reference() for reference in references], [None, None])
            del heard[:]

    def test_a_view_that_was_released_by_hand_is_no_trouble(self):
        burst = self.receive(b"abcd")
        burst[0].release()
        self.assert_dead(burst[0])
        burst.release()

    def test_more_packets_than_asked_for_come_later(self):
        packets = [b"%d" % i for i in range(10)]
        self.assertEqual(self.tx.send(packets), 10)
        self.assertTrue(self.rx.wait(5.0))
        self.assertEqual([bytes(packet) for packet in self.rx.receive(1)], packets[:1])
        self.assertGreaterEqual(self.rx.fileno(), 0)
        self.assertFalse(self.rx.arm())
        got, bursts = packets[:1], []
        while self.rx.pending:
            bursts.append(self.rx.receive(3))
            got += [bytes(packet) for packet in bursts[-1]]
        self.assertEqual(got, packets)
        self.assertEqual([len(burst) for burst in bursts], [3, 3, 3])
        self.rx.receive()
        self.assertTrue(self.taken_back())

    def test_views_and_copies_mix(self):
        self.assertEqual(self.tx.send([b"%d" % i for i in range(6)]), 6)
        first = self.rx.receive(2, timeout=5.0)
        self.assertEqual(list(first), [b"0", b"1"])
        self.assertEqual(self.rx.receive_bytes(3), [b"2", b"3", b"4"])
        self.assertEqual([bytes(packet) for packet in self.rx.receive()], [b"5"])

    def test_burst_is_a_sequence(self):
        burst = self.receive(b"0", b"1", b"2")
        self.assertEqual(len(burst), 3)
        self.assertEqual(burst[-1], b"2")
        self.assertEqual(burst[::-2], [b"2", b"0"])
        self.assertIn(b"1", burst)
        for i in (3, -4, 1 << 70):
            with self.assertRaises(IndexError):
                burst[i]
        self.assertEqual(len(self.rx.receive()), 0)
        self.assertEqual(list(self.rx.receive()), [])

    def test_chains_are_one_view(self):
        packet = bytes(range(256)) * 40
        burst = self.receive(packet, b"x")
        view = burst[0]
        self.assertEqual((view, burst[1]), (packet, b"x"))
        part = view[5:]
        with self.assertRaises(BufferError):
            burst.release()
        del part
        burst.release()
        self.assert_dead(view)


if __name__ == "__main__":
    unittest.main()
