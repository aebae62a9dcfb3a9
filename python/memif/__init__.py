"""memif: packet interfaces through shared memory, to VPP, DPDK and other programs.

>>> with memif.Interface("@hello", role="server") as server, memif.Interface("@hello") as client:
...     _ = client.wait_connected(timeout=5.0)
...     _ = client.tx[0].send([b"hello"])
...     server.rx[0].receive_bytes(timeout=5.0)
[b'hello']
"""

from __future__ import annotations

import atexit as _atexit
import itertools as _itertools
import os as _os
import threading as _threading
import weakref as _weakref

from . import _memif
from ._memif import Burst, RxQueue, TxQueue
from ._types import *
from ._types import __all__ as _errors

_descriptions = [
    "Credentials", "InterfaceInfo", "PeerInfo", "Reason", "RegionInfo", "RingInfo", "RxCounters", "TxCounters",
]  # fmt: skip
__version__ = _memif.version
__all__ = ["Burst", "Context", "Interface", "RxQueue", "TxQueue", "pair", *_errors, *_descriptions]


def __getattr__(name):
    """What takes long to import is imported when it is asked for."""
    if name not in _descriptions:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _info

    return getattr(_info, name)


_atexit.register(_memif.stop_all)


def _rx_counters(self) -> RxCounters:
    """What it has counted, over all links.

    >>> with memif.pair() as (a, b):
    ...     b.rx[0].counters().packets
    0
    """
    from ._info import RxCounters

    return RxCounters(**self._counters())


def _tx_counters(self) -> TxCounters:
    """What it has counted, over all links.

    >>> with memif.pair() as (a, b):
    ...     a.tx[0].counters().packets
    0
    """
    from ._info import TxCounters

    return TxCounters(**self._counters())


RxQueue.counters = _rx_counters
TxQueue.counters = _tx_counters


class Context:
    """Runs the handshakes, timers and callbacks of its interfaces, on a thread of its own.

    Interfaces that name no context share one. `log` is called as log(level, text) on that thread, where level is
    "debug", "info", "warning" or "error". `publish` lets `memif top` and others see the interfaces.

    >>> with memif.Context(app_name="tester") as context:
    ...     port = memif.Interface("@context", role="server", context=context)
    >>> port.closed
    True
    """

    def __init__(self, app_name="memifpp", *, log=None, publish=False, max_unidentified_connections=256):
        self._core = _memif.Context(app_name, publish, max_unidentified_connections, log)

    @property
    def closed(self) -> bool:
        """Whether close() was called.

        >>> memif.Context().closed
        False
        """
        return self._core.closed

    def close(self) -> None:
        """Closes its interfaces, and ends its thread.

        >>> memif.Context().close()
        """
        self._core.stop()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


_shared = None
_shared_lock = _threading.Lock()


def _shared_context():
    global _shared
    with _shared_lock:
        if _shared is None or _shared.closed:
            _shared = Context()
        return _shared


def _forget_shared():
    global _shared, _shared_lock
    _shared, _shared_lock = None, _threading.Lock()


_os.register_at_fork(after_in_child=_forget_shared)


class Interface:
    """One end of a memif, from now on until close(), or until nobody has it or one of its queues.

    A server listens at once; a client tries to connect, and goes on trying. Keywords that are None have the default of
    `memif::InterfaceConfig`, in <memif/config.hpp>, which says what each of them means; times are in seconds.

    `on_connected(interface)`, `on_disconnected(interface, reason)` and `on_refused(interface, reason)` are called on the
    context's thread.

    >>> with memif.Interface("@door", role="server", id=7, secret="sesame") as port:
    ...     port.connected, port.id, len(port.rx)
    (False, 7, 1)
    """

    def __init__(
        self,
        socket=None,
        *,
        id=None,  # noqa: A002
        role=None,
        mode=None,
        secret=None,
        name=None,
        rx_queues=None,
        tx_queues=None,
        ring_size=None,
        buffer_size=None,
        headroom=None,
        max_packet=None,
        rx_mode=None,
        spin=None,
        reconnect=None,
        handshake_timeout=None,
        huge_pages=None,
        prefault=None,
        require_sealed_memory=None,
        max_peer_memory=None,
        allowed_users=None,
        allowed_groups=None,
        socket_mode=None,
        socket_owner=None,
        socket_group=None,
        on_connected=None,
        on_disconnected=None,
        on_refused=None,
        context=None,
    ):
        keywords = dict(locals())
        for other in ("self", "on_connected", "on_disconnected", "on_refused", "context"):
            del keywords[other]
        if socket is not None:
            keywords["socket"] = _os.fspath(socket)
        # The context knows no more than a weak reference: it must not keep alive what nobody uses, and what is in a
        # cycle can be found by the garbage collector. The first link may be there before this is.
        self._on_connected, self._on_disconnected, self._on_refused = on_connected, on_disconnected, on_refused
        this, made = _weakref.ref(self), _threading.Event()

        def connected():
            made.wait()
            if (interface := this()) is not None:
                interface._on_connected(interface)

        def disconnected(reason):
            made.wait()
            if (interface := this()) is not None:
                interface._on_disconnected(interface, reason)

        def refused(reason):
            made.wait()
            if (interface := this()) is not None:
                interface._on_refused(interface, reason)

        self.context = context or _shared_context()
        try:
            self._core = _memif.Interface(
                self.context._core,
                keywords,
                None if on_connected is None else connected,
                None if on_disconnected is None else disconnected,
                None if on_refused is None else refused,
            )
            self.rx = self._core.rx()
            self.tx = self._core.tx()
        finally:
            made.set()

    def close(self) -> None:
        """Ends the link and the interface. Its queues have nothing to do any more; bursts can still be read.

        >>> port = memif.Interface("@close", role="server")
        >>> port.close()
        >>> port.closed
        True
        """
        self._core.close()

    @property
    def closed(self) -> bool:
        """Whether it, or its context, was closed.

        >>> with memif.pair() as (a, b):
        ...     a.closed
        False
        """
        return self._core.closed

    @property
    def connected(self) -> bool:
        """Whether there is a link.

        >>> with memif.pair() as (a, b):
        ...     a.connected
        True
        """
        return self._core.connected

    @property
    def socket(self) -> str:
        """The address of its socket.

        >>> memif.Interface("@address", role="server").socket
        '@address'
        """
        return self._core.socket

    @property
    def id(self) -> int:
        """Its number on that socket.

        >>> memif.Interface("@number", role="server", id=3).id
        3
        """
        return self._core.id

    @property
    def role(self) -> str:
        """'client' or 'server'.

        >>> memif.Interface("@role", role="server").role
        'server'
        """
        return self._core.role

    @property
    def mode(self) -> str:
        """'ethernet', 'ip' or 'punt/inject'.

        >>> memif.Interface("@mode", role="server", mode="ip").mode
        'ip'
        """
        return self._core.mode

    @property
    def name(self) -> str:
        """What the peer is told.

        >>> memif.Interface("@name", role="server").name
        'memif/0'
        """
        return self._core.name

    def wait_connected(self, timeout=None) -> Interface:
        """Waits until there is a link, and returns the interface. After `timeout` seconds: TimeoutError.

        >>> with memif.pair() as (a, b):
        ...     a.wait_connected(timeout=5.0) is a
        True
        """
        if not self._core.wait_connected(timeout):
            raise self._no_peer(timeout)
        return self

    def _no_peer(self, timeout):
        reason = self._core.info()["last_reason"]
        text = f"no peer at {self.socket}, id {self.id}, within {timeout} s"
        error = TimeoutError(f"{text}: {reason}" if reason else text)
        error.code = Errc.timed_out
        error.__cause__ = reason and reason.error()
        return error

    def connect(self) -> None:
        """A client tries to connect now. Raises what prevents it.

        >>> memif.Interface("@nobody").connect()
        Traceback (most recent call last):
            ...
        ConnectionRefusedError: ...
        """
        self._core.connect()

    def disconnect(self, why="disconnected by the application") -> None:
        """Ends the link, and tells the peer why. A client with a `reconnect` time tries again after that.

        >>> with memif.pair() as (a, b):
        ...     a.disconnect("maintenance")
        ...     a.connected
        False
        """
        self._core.disconnect(why)

    def info(self) -> InterfaceInfo:
        """All that is known of it now.

        >>> with memif.pair() as (a, b):
        ...     a.info().peer.app_name
        'memifpp'
        """
        from ._info import make_info

        return make_info(self._core.info())

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __repr__(self):
        state = "closed" if self.closed else "connected" if self.connected else "not connected"
        return f"<memif.Interface {self.socket} id {self.id}, {self.role}, {state}>"


class _Pair(tuple):
    """Two interfaces that are joined; as a context manager it closes them."""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for interface in self:
            interface.close()


_pair_numbers = _itertools.count()


def pair(timeout=10.0, **keywords) -> _Pair:
    """Two interfaces of this process that are joined, "a" (a server) and "b" (a client): for tests and examples.

    Keywords are those of Interface, for both.

    >>> with memif.pair(mode="ip") as (a, b):
    ...     b.tx[0].send([b"x" * 20])
    1
    """
    socket = f"@memif-pair-{_os.getpid()}-{next(_pair_numbers)}"
    a = Interface(socket, role="server", name="a", **keywords)
    try:
        b = Interface(socket, role="client", name="b", **keywords)
        try:
            b.wait_connected(timeout)
            a.wait_connected(timeout)
        except BaseException:
            b.close()
            raise
    except BaseException:
        a.close()
        raise
    return _Pair((a, b))
