"""What the package tells: errors, and descriptions of interfaces."""

from __future__ import annotations

import errno as _errno
from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "AddressError", "ClosedError", "ConfigError", "Credentials", "DisconnectedError", "Errc", "Error", "InterfaceInfo",
    "PeerInfo", "ProtocolError", "Reason", "RefusedError", "RegionInfo", "RingInfo", "RxCounters", "TimeoutError",
    "TxCounters",
]  # fmt: skip


class Errc(IntEnum):
    """Conditions of memif's own, as in <memif/error.hpp>.

    >>> memif.Errc.wrong_secret.name
    'wrong_secret'
    """

    invalid_config = 1
    address_in_use = 2
    not_a_socket = 3
    unknown_id = 4
    already_connected = 5
    role_mismatch = 6
    mode_mismatch = 7
    secret_required = 8
    wrong_secret = 9
    unsupported_version = 10
    too_many_regions = 11
    too_many_rings = 12
    bad_region = 13
    bad_ring = 14
    wrong_cookie = 15
    missing_fd = 16
    unexpected_fd = 17
    malformed_message = 18
    unknown_message = 19
    unexpected_message = 20
    not_an_eventfd = 21
    unsealed_memory = 22
    truncated_memory = 23
    peer_not_allowed = 24
    timed_out = 25
    peer_refused = 26
    peer_disconnected = 27
    peer_gone = 28
    broken_ring = 29
    closed = 30
    evicted = 31
    too_much_memory = 32
    fds_not_closed = 33


class Error(Exception):
    """The base of this package's errors. A failed system call is an OSError instead.

    `code` is an Errc, the text says what, where and why.

    >>> try:
    ...     memif.Interface("/tmp/x.sock", ring_size=3)
    ... except memif.Error as error:
    ...     error.code.name
    'invalid_config'
    """

    code: Errc | None = None


class ConfigError(Error, ValueError):
    """A keyword is out of its range.

    >>> memif.Interface("/tmp/x.sock", role="master")
    Traceback (most recent call last):
        ...
    memif._types.ConfigError: role is "master": must be one of client, server
    """


class AddressError(Error, OSError):
    """A server cannot listen: somebody else does, or there is something that is no socket.

    >>> with memif.Interface("@doc-address", role="server"):
    ...     memif.Interface("@doc-address", role="server", context=memif.Context())
    Traceback (most recent call last):
        ...
    memif._types.AddressError: ...
    """


class RefusedError(Error, ConnectionRefusedError):
    """One side does not want the other: as a Reason, or the cause of a TimeoutError.

    >>> memif.Reason(memif.Errc.wrong_secret, None, False, "the secrets differ").error()
    RefusedError('the secrets differ')
    """


class ProtocolError(Error, ConnectionError):
    """The peer did what no correct peer does.

    >>> memif.Reason(memif.Errc.broken_ring, None, False, "a chain without end").error()
    ProtocolError('a chain without end')
    """


class DisconnectedError(Error, ConnectionResetError):
    """The peer has gone.

    >>> memif.Reason(memif.Errc.peer_gone, None, False, "the peer has gone").error()
    DisconnectedError('the peer has gone')
    """


class TimeoutError(Error, TimeoutError):  # noqa: A001
    """Something did not happen in time. __cause__ is the reason for which the last attempt ended, if there is one.

    >>> memif.Interface("/tmp/nobody.sock").wait_connected(timeout=0.1)
    Traceback (most recent call last):
        ...
    memif._types.TimeoutError: no peer at /tmp/nobody.sock, id 0, within 0.1 s...
    """


class ClosedError(Error, ValueError):
    """The interface or the context was closed here.

    >>> a, b = memif.pair()
    >>> a.close(), b.close()
    (None, None)
    >>> a.tx[0].send([b"x"])
    Traceback (most recent call last):
        ...
    memif._types.ClosedError: the interface is closed
    """


_refusals = {
    Errc.unknown_id, Errc.already_connected, Errc.role_mismatch, Errc.mode_mismatch, Errc.secret_required,
    Errc.wrong_secret, Errc.unsupported_version, Errc.unsealed_memory, Errc.peer_not_allowed, Errc.peer_refused,
    Errc.evicted, Errc.too_much_memory, Errc.fds_not_closed,
}  # fmt: skip
_kinds = {
    Errc.invalid_config: ConfigError,
    Errc.address_in_use: AddressError,
    Errc.not_a_socket: AddressError,
    Errc.timed_out: TimeoutError,
    Errc.peer_disconnected: DisconnectedError,
    Errc.peer_gone: DisconnectedError,
    Errc.closed: ClosedError,
}


def make_error(own, number, text):
    if not own:
        return OSError(number, text)
    try:
        code = Errc(number)
    except ValueError:  # of a newer library
        return Error(text)
    kind = RefusedError if code in _refusals else _kinds.get(code, ProtocolError)
    error = kind(text)
    error.code = code
    return error


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
