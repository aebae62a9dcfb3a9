import os
from collections.abc import Callable, Iterable
from typing import Literal

from ._info import *
from ._memif import Burst as Burst
from ._memif import RxQueue as RxQueue
from ._memif import TxQueue as TxQueue
from ._types import *

__version__: str

class Context:
    def __init__(
        self,
        app_name: str = "memifpp",
        *,
        log: Callable[[str, str], object] | None = None,
        publish: bool = False,
        max_unidentified_connections: int = 256,
    ) -> None: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None: ...
    def __enter__(self) -> Context: ...
    def __exit__(self, *exception: object) -> None: ...

class Interface:
    context: Context
    rx: tuple[RxQueue, ...]
    tx: tuple[TxQueue, ...]
    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        *,
        id: int | None = None,
        role: Literal["client", "server"] | None = None,
        mode: Literal["ethernet", "ip", "punt/inject"] | None = None,
        secret: str | None = None,
        name: str | None = None,
        rx_queues: int | None = None,
        tx_queues: int | None = None,
        ring_size: int | None = None,
        buffer_size: int | None = None,
        headroom: int | None = None,
        max_packet: int | None = None,
        rx_mode: Literal["polling", "interrupt", "adaptive"] | None = None,
        spin: float | None = None,
        reconnect: float | None = None,
        handshake_timeout: float | None = None,
        huge_pages: bool | None = None,
        prefault: bool | None = None,
        require_sealed_memory: bool | None = None,
        max_peer_memory: int | None = None,
        allowed_users: Iterable[int] | None = None,
        allowed_groups: Iterable[int] | None = None,
        socket_mode: int | None = None,
        socket_owner: int | None = None,
        socket_group: int | None = None,
        on_connected: Callable[[Interface], object] | None = None,
        on_disconnected: Callable[[Interface, Reason], object] | None = None,
        on_refused: Callable[[Interface, Reason], object] | None = None,
        context: Context | None = None,
    ) -> None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def connected(self) -> bool: ...
    @property
    def socket(self) -> str: ...
    @property
    def id(self) -> int: ...
    @property
    def role(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def name(self) -> str: ...
    def wait_connected(self, timeout: float | None = None) -> Interface: ...
    def connect(self) -> None: ...
    def disconnect(self, why: str = "disconnected by the application") -> None: ...
    def info(self) -> InterfaceInfo: ...
    def __enter__(self) -> Interface: ...
    def __exit__(self, *exception: object) -> None: ...

class _Pair(tuple[Interface, Interface]):
    def __enter__(self) -> _Pair: ...
    def __exit__(self, *exception: object) -> None: ...

def pair(timeout: float | None = 10.0, **keywords: object) -> _Pair: ...
