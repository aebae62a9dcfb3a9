"""memif for asyncio."""

import asyncio
import os
import unittest

import memif
from memif import aio


def at(name):
    """A socket that no other process has."""
    return f"@{os.getpid()}-{name}"


class Asyncio(unittest.IsolatedAsyncioTestCase):
    def pair(self, **keywords):
        a, b = memif.pair(**keywords)
        self.addCleanup(a.close)
        self.addCleanup(b.close)
        return a, b

    async def test_packets_over_several_links(self):
        server, client = aio.Interface(at("aio-links"), role="server"), aio.Interface(at("aio-links"), reconnect=0.01)
        got = []

        async def take():
            async for packet in server.rx[0]:
                got.append(bytes(packet))

        async with server, client:
            taking = asyncio.create_task(take())
            for i in range(3):
                self.assertEqual(await client.tx[0].send([b"%d" % i, b"x"], timeout=10.0), 2)
                while len(got) < 2 * (i + 1):
                    await asyncio.sleep(0.001)
                server.port.disconnect()
                while server.port.connected or client.port.connected:
                    await asyncio.sleep(0.001)
                await client.wait_connected(10.0)
                await server.wait_connected(10.0)
            self.assertEqual(got, [b"0", b"x", b"1", b"x", b"2", b"x"])
            server.close()
            await asyncio.wait_for(taking, 10)

    async def test_a_packet_is_valid_until_its_burst_is_over(self):
        a, b = self.pair()
        a.tx[0].send([b"one", b"two"])
        packets = aiter(aio.RxQueue(b.rx[0]))
        one, two = await anext(packets), await anext(packets)
        self.assertEqual((one, two), (b"one", b"two"))
        a.tx[0].send([b"three"])
        self.assertEqual(await anext(packets), b"three")
        for view in (one, two):
            with self.assertRaises(ValueError):
                view[0]

    async def test_time_outs_and_cancellation(self):
        a, b = self.pair(ring_size=2)
        rx, tx = aio.RxQueue(b.rx[0]), aio.TxQueue(a.tx[0])
        self.assertFalse(await rx.wait(0.01))
        self.assertEqual(await rx.receive_bytes(timeout=0.01), [])
        self.assertEqual(len(await rx.receive(timeout=0)), 0)
        waiting = asyncio.create_task(rx.wait())
        await asyncio.sleep(0.01)
        with self.assertRaisesRegex(RuntimeError, "another task"):
            await rx.wait()
        waiting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await waiting
        self.assertEqual(await tx.send([b"x"] * 3, timeout=0.01), 2)
        sending = asyncio.create_task(tx.send(b"%d" % i for i in range(100)))
        got = []
        while len(got) < 102:
            got += await rx.receive_bytes()
        self.assertEqual(await sending, 100)
        self.assertEqual(got[2:], [b"%d" % i for i in range(100)])

    async def test_close_wakes(self):
        _, b = self.pair()
        asyncio.get_running_loop().call_later(0.01, b.close)
        with self.assertRaises(memif.ClosedError):
            await aio.RxQueue(b.rx[0]).wait()
        alone = aio.Interface(at("aio-alone"))
        asyncio.get_running_loop().call_later(0.01, alone.close)
        with self.assertRaises(memif.ClosedError):
            await alone.wait_connected()

    async def test_callbacks_come_by_the_loop(self):
        loop, called = asyncio.get_running_loop(), asyncio.Queue()

        def note(*arguments):
            called.put_nowait((asyncio.get_running_loop() is loop, *arguments))

        server = aio.Interface(at("aio-callbacks"), role="server", on_connected=note, on_disconnected=note)
        async with aio.Interface(at("aio-callbacks")):
            self.assertEqual(await called.get(), (True, server))
        self.assertIsInstance((await called.get())[2], memif.Reason)
        server.close()


if __name__ == "__main__":
    unittest.main()
