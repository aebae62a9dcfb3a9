"""Descriptions of interfaces: apart, since dataclasses take longer to import than all else of the package."""

from __future__ import annotations

import errno as _errno
from dataclasses import dataclass

from ._types import Errc, Error, make_error

__all__ = [
    "Credentials", "InterfaceInfo", "PeerInfo", "Reason", "RegionInfo", "RingInfo", "RxCounters", "TxCounters",
]  # fmt: skip


def make_reason(own, number, from_peer, text):
    code = Errc(number) if own and number in Errc._value2member_map_ else None
    return Reason(code, None if own else number, from_peer, text)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a link ended or was refused: memif's own `code`, or the `errno` of a system call.

    `from_peer`: the text is the peer's.

    >>> print(memif.Reason(memif.Errc.peer_gone, None, False, "the peer has gone"))
    the peer has gone
    """

    code: Errc | None
    errno: int | None
    from_peer: bool
    text: str

    def __str__(self):
        return self.text

    def error(self) -> Exception:
        """The same as an exception.

        >>> memif.Reason(None, 2, False, "no such socket").error()
        FileNotFoundError(2, 'no such socket')
        """
        if self.errno is not None:
            return make_error(False, self.errno, self.text or _errno.errorcode.get(self.errno, ""))
        return Error(self.text) if self.code is None else make_error(True, int(self.code), self.text)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whose process the peer is.

    >>> with memif.pair() as (a, b):
    ...     a.info().peer.credentials.pid == os.getpid()
    True
    """

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """Who the peer says it is.

    >>> with memif.pair() as (a, b):
    ...     a.info().peer.interface_name
    'b'
    """

    app_name: str
    interface_name: str
    version: int
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class RegionInfo:
    """A memory file of the link; `size` in bytes; `sealed`: the peer cannot shrink it.

    >>> with memif.pair() as (a, b):
    ...     a.info().regions[0].sealed
    True
    """

    index: int
    size: int
    external: bool
    sealed: bool


@dataclass(frozen=True, slots=True)
class RingInfo:
    """A ring of the link; `head`, `tail` and `flags` as they were in shared memory at that moment.

    >>> with memif.pair(ring_size=64) as (a, b):
    ...     a.info().tx[0].ring_size
    64
    """

    queue: int
    ring_size: int
    buffer_size: int
    region: int
    offset: int
    head: int
    tail: int
    flags: int


@dataclass(frozen=True, slots=True)
class InterfaceInfo:
    """All that is known of an interface at one moment.

    >>> with memif.pair() as (a, b):
    ...     a.info().connects
    1
    """

    connected: bool
    peer: PeerInfo | None
    regions: tuple[RegionInfo, ...]
    rx: tuple[RingInfo, ...]
    tx: tuple[RingInfo, ...]
    connects: int
    disconnects: int
    refusals: int
    last_reason: Reason | None


def make_info(told):
    peer = told["peer"]
    if peer is not None:
        *names, who = peer
        told["peer"] = PeerInfo(*names, Credentials(*who))
    told["regions"] = tuple(RegionInfo(**one) for one in told["regions"])
    told["rx"] = tuple(RingInfo(**one) for one in told["rx"])
    told["tx"] = tuple(RingInfo(**one) for one in told["tx"])
    return InterfaceInfo(**told)


@dataclass(frozen=True, slots=True)
class RxCounters:
    """What a receive queue has counted, over all links.

    >>> with memif.pair() as (a, b):
    ...     _ = a.tx[0].send([b"four"])
    ...     _ = b.rx[0].receive_bytes(timeout=5.0)
    ...     b.rx[0].counters().bytes
    4
    """

    packets: int
    bytes: int
    bursts: int
    dropped_descriptor: int
    dropped_long: int
    interrupts: int
    sleeps: int
    dropped_oversize: int


@dataclass(frozen=True, slots=True)
class TxCounters:
    """What a transmit queue has counted, over all links.

    >>> with memif.pair() as (a, b):
    ...     _ = a.tx[0].send([b"one", b"two"])
    ...     a.tx[0].counters().packets
    2
    """

    packets: int
    bytes: int
    bursts: int
    ring_full: int
    dropped_buffer: int
    rejected: int
    interrupts: int
