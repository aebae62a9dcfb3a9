"""A memif client that does the handshake, and then nothing but what a test wants: docs/protocol.md."""

import os
import platform
import socket
import struct

ACK, HELLO, INIT, ADD_REGION, ADD_RING, CONNECT, CONNECTED = range(1, 8)
COOKIE, DESCRIPTORS, DESCRIPTOR = 0x3E31F20, 64, 16
HEADER = 2 * (128 if platform.machine() == "aarch64" else 64)  # cache lines


class RawClient:
    """Connected, with a ring each way of 64 descriptors, and none of its buffers posted."""

    def __init__(self, path, mode=0, region_name="memif-raw"):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self._expect(HELLO)
        self._send(INIT, struct.pack("<HIB24s32s", 0x200, 0, mode, b"", b"raw"))
        self._expect(ACK)
        ring = HEADER + DESCRIPTORS * DESCRIPTOR
        self.region = os.memfd_create(region_name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.region, self.prepare_region(2 * ring))
        for number in range(2):
            os.pwrite(self.region, struct.pack("<I", COOKIE), self.rings_at() + number * ring)
        self._send(ADD_REGION, struct.pack("<HQ", 0, os.fstat(self.region).st_size), self.region)
        self._expect(ACK)
        self.events = [os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK)]
        for number, event in enumerate(self.events):  # client to server, then server to client
            self._send(ADD_RING, struct.pack("<HHHIBH", number, 0, 0, self.rings_at() + number * ring, 6, 0), event)
            self._expect(ACK)
        self._send(CONNECT, b"raw")
        self._expect(CONNECTED)

    def prepare_region(self, size):
        """The size of a region with so many bytes of rings; a subclass may have something before them."""
        return size + 65536

    def rings_at(self):
        return 0

    def _send(self, kind, body, *fds):
        socket.send_fds(self.socket, [(struct.pack("<H", kind) + body).ljust(128, b"\0")], list(fds))

    def _expect(self, kind):
        data, fds, _, _ = socket.recv_fds(self.socket, 128, 4)
        for fd in fds:
            os.close(fd)
        got = struct.unpack_from("<H", data)[0] if len(data) == 128 else data
        if got != kind:
            raise AssertionError(f"message {kind} was expected, and not {got}: {data}")

    def close(self):
        self.socket.close()
        for fd in (self.region, *self.events):
            os.close(fd)
