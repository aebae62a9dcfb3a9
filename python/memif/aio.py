"""memif for asyncio: the same interfaces, with queues that are awaited.

>>> async def main():
...     server, client = memif.aio.Interface("@aio", role="server"), memif.aio.Interface("@aio")
...     async with server, client:
...         await client.tx[0].send([b"hello"])
...         return await server.rx[0].receive_bytes()
>>> asyncio.run(main())
[b'hello']
"""

from __future__ import annotations

import asyncio

import memif

__all__ = ["Interface", "RxQueue", "TxQueue"]


async def _readable(fd, timeout):
    """Whether it became so in time."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(fd, lambda: ready.done() or ready.set_result(True))
    try:
        done, _ = await asyncio.wait([ready], timeout=timeout)
        return bool(done)
    finally:
        loop.remove_reader(fd)


class _Deadline:
    def __init__(self, timeout):
        self._loop = asyncio.get_running_loop()
        self._end = None if timeout is None else self._loop.time() + timeout

    def left(self):
        return None if self._end is None else max(0.0, self._end - self._loop.time())

    def over(self):
        return self._end is not None and self._loop.time() >= self._end


class RxQueue:
    """A receive queue; `queue` is the one that does not wait. One task at a time may wait for it.

    `async for packet in rx` takes packets without an end, or until the interface is closed. Each is a view that is
    valid until the loop asks for the next packet after the last of its burst, so use it before you await anything that
    receives, and copy what has to live longer.

    >>> async def main():
    ...     with memif.pair() as (a, b):
    ...         a.tx[0].send([b"one", b"two"])
    ...         async for packet in memif.aio.RxQueue(b.rx[0]):
    ...             print(bytes(packet))
    ...             if packet == b"two":
    ...                 break
    >>> asyncio.run(main())
    b'one'
    b'two'
    """

    def __init__(self, queue):
        self.queue = queue
        self._waiting = False

    async def wait(self, timeout=None) -> bool:
        """Waits up to `timeout` seconds until there is a packet, and returns whether there is. Ends the last burst.

        >>> async def main():
        ...     with memif.pair() as (a, b):
        ...         return await memif.aio.RxQueue(b.rx[0]).wait(timeout=0.01)
        >>> asyncio.run(main())
        False
        """
        if self._waiting:
            raise RuntimeError("another task is waiting for this queue")
        deadline = _Deadline(timeout)
        self._waiting = True
        try:
            while self.queue.arm():
                try:
                    last = deadline.over()
                    await _readable(self.queue.fileno(), deadline.left())
                finally:
                    self.queue.disarm()
                if last and not self.queue.pending:
                    return False
            return True
        finally:
            self._waiting = False

    async def receive(self, max_packets=256, timeout=None) -> memif.Burst:
        """As memif.RxQueue.receive().

        >>> async def main():
        ...     with memif.pair() as (a, b):
        ...         a.tx[0].send([b"one"])
        ...         with await memif.aio.RxQueue(b.rx[0]).receive() as burst:
        ...             return bytes(burst[0])
        >>> asyncio.run(main())
        b'one'
        """
        await self.wait(timeout)
        return self.queue.receive(max_packets)

    async def receive_bytes(self, max_packets=256, timeout=None) -> list[bytes]:
        """As memif.RxQueue.receive_bytes().

        >>> async def main():
        ...     with memif.pair() as (a, b):
        ...         a.tx[0].send([b"one"])
        ...         return await memif.aio.RxQueue(b.rx[0]).receive_bytes()
        >>> asyncio.run(main())
        [b'one']
        """
        await self.wait(timeout)
        return self.queue.receive_bytes(max_packets)

    def __aiter__(self):
        return _Packets(self)


class _Packets:
    def __init__(self, rx):
        self._rx = rx
        self._packets = iter(())

    def __aiter__(self):
        return self

    async def __anext__(self):
        while True:
            for packet in self._packets:
                return packet
            try:
                self._packets = iter(await self._rx.receive())
            except memif.ClosedError:
                raise StopAsyncIteration from None


class TxQueue:
    """A transmit queue; `queue` is the one that does not wait.

    >>> async def main():
    ...     with memif.pair() as (a, b):
    ...         return await memif.aio.TxQueue(a.tx[0]).send([b"x"] * 3)
    >>> asyncio.run(main())
    3
    """

    _pauses = (0.0, 0.0001, 0.001, 0.005)

    def __init__(self, queue):
        self.queue = queue

    async def send(self, packets, timeout=None) -> int:
        """Sends packets in order, and waits up to `timeout` seconds for free slots; returns how many were sent.

        >>> async def main():
        ...     with memif.pair(ring_size=2) as (a, b):
        ...         return await memif.aio.TxQueue(a.tx[0]).send([b"x"] * 3, timeout=0.01)
        >>> asyncio.run(main())
        2
        """
        if not hasattr(packets, "__getitem__") or isinstance(packets, dict):
            packets = list(packets)
        deadline = _Deadline(timeout)
        sent, tries = self.queue.send(packets), 0
        while sent < len(packets) and not deadline.over():
            await asyncio.sleep(self._pauses[min(tries, len(self._pauses) - 1)])
            more = self.queue.send(packets[sent:])
            sent, tries = sent + more, 0 if more else tries + 1
        return sent


class Interface:
    """An interface; `port` is its memif.Interface, with the same keywords. Callbacks are called by the event loop.

    `async with` waits for a link, and closes the interface at its end.

    >>> async def main():
    ...     server = memif.aio.Interface("@awaited", role="server", on_connected=lambda port: print("connected"))
    ...     client = memif.aio.Interface("@awaited")
    ...     async with server, client:
    ...         await client.tx[0].send([b"hello"])
    ...         return await server.rx[0].receive_bytes()
    >>> asyncio.run(main())
    connected
    [b'hello']
    """

    def __init__(self, socket=None, *, on_connected=None, on_disconnected=None, on_refused=None, **keywords):
        self._loop = asyncio.get_running_loop()
        self.port = memif.Interface(
            socket,
            on_connected=on_connected and (lambda port: self._call(on_connected, self)),
            on_disconnected=on_disconnected and (lambda port, reason: self._call(on_disconnected, self, reason)),
            on_refused=on_refused and (lambda port, reason: self._call(on_refused, self, reason)),
            **keywords,
        )
        self.rx = tuple(RxQueue(queue) for queue in self.port.rx)
        self.tx = tuple(TxQueue(queue) for queue in self.port.tx)

    def _call(self, callback, *arguments):
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)

    async def wait_connected(self, timeout=None) -> Interface:
        """Waits until there is a link, and returns the interface. After `timeout` seconds: memif.TimeoutError.

        >>> async def main():
        ...     await memif.aio.Interface("@nobody").wait_connected(timeout=0.01)
        >>> asyncio.run(main())
        Traceback (most recent call last):
            ...
        memif._types.TimeoutError: ...
        """
        deadline = _Deadline(timeout)
        watch = self.port._core.watch()
        while not self.port.connected:
            if self.port.closed:
                raise memif.ClosedError("the interface is closed")
            if not await _readable(watch.fileno(), deadline.left()) and not self.port.connected:
                raise self.port._no_peer(timeout)
            watch.clear()
        return self

    def close(self) -> None:
        """As memif.Interface.close().

        >>> async def main():
        ...     memif.aio.Interface("@closes").close()
        >>> asyncio.run(main())
        """
        self.port.close()

    async def __aenter__(self):
        try:
            return await self.wait_connected()
        except BaseException:
            self.close()
            raise

    async def __aexit__(self, *exception):
        self.close()
