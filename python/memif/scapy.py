"""memif for Scapy: a MemifSocket is what Scapy calls a super-socket.

>>> from scapy.all import Ether, Raw
>>> from memif.scapy import MemifSocket
>>> with memif.pair() as (a, b):
...     one, other = MemifSocket(interface=a), MemifSocket(interface=b)
...     _ = one.send(Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02") / Raw(b"hello" * 10))
...     other.recv().dst
'02:00:00:00:00:01'
"""

from __future__ import annotations

import collections
import select as _select
import time

from scapy.compat import raw
from scapy.config import conf
from scapy.data import MTU
from scapy.error import Scapy_Exception
from scapy.interfaces import InterfaceProvider, NetworkInterface
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.supersocket import SuperSocket

import memif

__all__ = ["MemifSocket"]


class _Iface(NetworkInterface):
    """What Scapy's functions take as `iface`: they open a socket, and close it."""

    def __init__(self, interface, queue):
        names = dict.fromkeys(("name", "description", "network_name"), interface.name)
        super().__init__(InterfaceProvider(), names)
        self._port = interface, queue

    def l2socket(self):
        return self._open

    l2listen = l3socket = l2socket

    def _open(self, filter=None, **_):  # noqa: A002
        if filter:
            raise Scapy_Exception("a filter is the kernel's: use lfilter")
        interface, queue = self._port
        return MemifSocket(interface=interface, queue=queue, timeout=0)


class MemifSocket(SuperSocket):
    """A Scapy socket on a memif: a new interface with the keywords of memif.Interface, or `interface`.

    Waits up to `timeout` seconds for its peer when it is made (None: without end; 0: not at all). Packets are Ether, or
    in mode "ip" IP and IPv6. `queue` is the number of its two queues. Sending waits up to `send_timeout` seconds for
    free slots, and raises memif.TimeoutError then. `iface` is what Scapy's functions take as their `iface`.

    >>> from scapy.all import IP, ICMP
    >>> from memif.scapy import MemifSocket
    >>> with memif.pair(mode="ip") as (a, b):
    ...     one, other = MemifSocket(interface=a), MemifSocket(interface=b)
    ...     _ = one.send(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP())
    ...     other.recv().summary()
    'IP / ICMP 10.0.0.1 > 10.0.0.2 echo-request 0'
    """

    desc = "read and write packets through a memif"
    nonblocking_socket = False

    def __init__(self, socket=None, *, interface=None, queue=0, timeout=10.0, send_timeout=5.0, **keywords):
        self.interface = interface or memif.Interface(socket, **keywords)
        self._owned = interface is None
        self.iface = _Iface(self.interface, queue)
        self.send_timeout = send_timeout
        self._rx, self._tx = self.interface.rx[queue], self.interface.tx[queue]
        self._received = collections.deque()
        if timeout != 0:
            try:
                self.interface.wait_connected(timeout)
            except BaseException:
                self.close()
                raise

    def _layer(self, data):
        if self.interface.mode == "ethernet":
            return Ether
        return {4: IP, 6: IPv6}.get(data[0] >> 4, conf.raw_layer)

    def recv_raw(self, x=MTU):
        """Waits for a packet, and returns its layer, its bytes, and when it was taken. EOFError once closed.

        >>> from memif.scapy import MemifSocket
        >>> with memif.pair() as (a, b):
        ...     _ = a.tx[0].send([b"x" * 60])
        ...     MemifSocket(interface=b).recv_raw()[1][:3]
        b'xxx'
        """
        try:
            while not self._received:
                self._received.extend(self._rx.receive_bytes(timeout=None))
        except memif.ClosedError as error:
            raise EOFError(str(error)) from None
        data = self._received.popleft()[:x]
        return self._layer(data), data, time.time()

    def send(self, x):
        """Sends a packet, and returns its length.

        >>> from memif.scapy import MemifSocket
        >>> with memif.pair() as (a, b):
        ...     MemifSocket(interface=a).send(b"x" * 60)
        60
        """
        data = raw(x)
        if hasattr(x, "sent_time"):
            x.sent_time = time.time()
        if self._tx.send([data], self.send_timeout) == 0:
            raise memif.TimeoutError(f"no free slot within {self.send_timeout} s")
        return len(data)

    def fileno(self):
        """For select(): see memif.RxQueue.fileno().

        >>> from memif.scapy import MemifSocket
        >>> with memif.pair() as (a, b):
        ...     MemifSocket(interface=a).fileno() >= 0
        True
        """
        return self._rx.fileno()

    def close(self):
        """Closes the interface, if it is the socket's own.

        >>> from memif.scapy import MemifSocket
        >>> with memif.pair() as (a, b):
        ...     MemifSocket(interface=a).close()
        ...     a.closed
        False
        """
        self.closed = True
        if self._owned:
            self.interface.close()

    def _ready(self):
        """Whether recv() would not wait. If it would, fileno() becomes readable when it would not any more."""
        if self._received:
            return True
        try:
            return not self._rx.arm()
        except memif.ClosedError:
            return True

    def _rest(self):
        try:
            self._rx.disarm()
            return bool(self._received) or self.interface.closed or self._rx.pending
        except memif.ClosedError:
            return True

    @staticmethod
    def select(sockets, remain=conf.recv_poll_rate):
        """Those of `sockets`, of any kind, from which something can be received; waits up to `remain` seconds for one.

        >>> from memif.scapy import MemifSocket
        >>> with memif.pair() as (a, b):
        ...     MemifSocket.select([MemifSocket(interface=b)], 0.01)
        []
        """
        ours = [socket for socket in sockets if isinstance(socket, MemifSocket)]
        waiting = [socket for socket in ours if not socket._ready()]
        end = None if remain is None else time.monotonic() + remain
        while True:
            poll = _select.poll()
            others = {}
            for socket in sockets:
                if socket not in ours:
                    others[socket.fileno()] = socket
                    poll.register(socket.fileno(), _select.POLLIN)
            for socket in waiting:
                poll.register(socket.fileno(), _select.POLLIN)
            left = None if end is None else max(0.0, end - time.monotonic())
            events = poll.poll(0 if len(waiting) < len(ours) else None if left is None else left * 1000)
            readable = [others[fd] for fd, _ in events if fd in others]
            ready = [socket for socket in ours if socket not in waiting or socket._rest()]
            if ready or readable or left == 0:
                return [socket for socket in sockets if socket in ready or socket in readable]
            waiting = [socket for socket in ours if not socket._ready()]  # a link came, or went
