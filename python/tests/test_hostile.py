"""A peer that lies, and one that takes its memory away: Python sees packets or none, and lives."""

import os
import random
import struct
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/e2e"))

from raw_peer import DESCRIPTOR, DESCRIPTORS, HEADER, RawClient  # noqa: E402

import memif  # noqa: E402

RING = HEADER + DESCRIPTORS * DESCRIPTOR  # where the ring from the client begins in the region
BUFFERS = 2 * RING


class Hostile(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = f"{directory.name}/memif.sock"
        self.port = memif.Interface(path, role="server")
        self.addCleanup(self.port.close)
        self.path, self.rx = path, self.port.rx[0]

    def connect(self):
        peer = RawClient(self.path)
        self.addCleanup(peer.close)
        self.port.wait_connected(20.0)
        return peer

    def publish(self, peer, *descriptors):
        """Each is flags, region, length, offset."""
        for slot, one in enumerate(descriptors):
            os.pwrite(peer.region, struct.pack("<HHIII", *one, 0), RING + HEADER + slot * DESCRIPTOR)
        os.pwrite(peer.region, struct.pack("<H", len(descriptors)), RING + 6)
        os.eventfd_write(peer.events[1], 1)

    def test_memory_that_vanishes_under_a_view(self):
        peer = self.connect()
        os.pwrite(peer.region, b"hello", BUFFERS)
        self.publish(peer, (0, 0, 5, BUFFERS), (1, 0, 5, BUFFERS), (0, 0, 5, BUFFERS))
        burst = self.rx.receive(timeout=20.0)
        view, chain = burst
        part = view[1:]
        self.assertEqual((view, chain), (b"hello", b"hellohello"))
        os.pwrite(peer.region, b"HELLO", BUFFERS)
        self.assertEqual((view, chain), (b"HELLO", b"hellohello"))
        os.ftruncate(peer.region, 0)
        self.assertEqual((view, part, chain), (bytes(5), bytes(4), b"hellohello"))
        deadline = time.monotonic() + 20
        while self.port.connected and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(self.port.info().last_reason.code, memif.Errc.truncated_memory)
        with self.assertRaises(BufferError):
            self.rx.receive()
        self.assertEqual(part, bytes(4))
        del part
        self.assertEqual(len(self.rx.receive()), 0)

    def test_memory_that_vanishes_before_it_is_copied(self):
        peer = self.connect()
        self.publish(peer, *[(0, 0, 60000, BUFFERS)] * 8)
        self.assertTrue(self.rx.wait(20.0))
        os.ftruncate(peer.region, BUFFERS)
        for packet in self.rx.receive_bytes():
            self.assertEqual(packet, bytes(60000))

    def test_words_that_lie(self):
        chance = random.Random(1)
        words = [0, 1, 2, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, BUFFERS, BUFFERS + 65536, 65536]
        for _ in range(100):
            peer = RawClient(self.path)
            self.port.wait_connected(20.0)
            for slot in range(DESCRIPTORS):
                flags, region = chance.choice((0, 0, 1, 0xFFFF)), chance.choice((0, 0, 0, 1, 0xFFFF))
                descriptor = struct.pack("<HHIII", flags, region, chance.choice(words), chance.choice(words), 0)
                os.pwrite(peer.region, descriptor, RING + HEADER + slot * DESCRIPTOR)
            os.pwrite(peer.region, struct.pack("<H", chance.choice((1, 7, 63, 64, 65, 0xFFFF))), RING + 6)
            bursts = [self.rx.receive(chance.choice((1, 5, 256)), timeout=0.0) for _ in range(3)]
            self.assertGreaterEqual(sum(sum(view) for view in bursts[-1]), 0)
            self.port.tx[0].send([b"x" * 3000] * 3)
            peer.close()
            del bursts
            self.rx.receive()
            deadline = time.monotonic() + 20
            while self.port.connected and time.monotonic() < deadline:
                time.sleep(0.001)
        counters = self.rx.counters()
        self.assertGreater(counters.packets, 100)
        self.assertGreater(counters.dropped_descriptor, 100)


if __name__ == "__main__":
    unittest.main()
