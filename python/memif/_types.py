"""Errors."""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "AddressError", "ClosedError", "ConfigError", "DisconnectedError", "Errc", "Error", "ProtocolError", "RefusedError",
    "TimeoutError",
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
    pool_exhausted = 34


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
    Errc.evicted, Errc.too_much_memory, Errc.fds_not_closed, Errc.pool_exhausted,
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
