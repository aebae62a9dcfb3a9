"""libmemif, generation 4, by ctypes: with_ctypes.py LIBRARY. Its structures are written down by hand, as bindings do."""
import ctypes as c
import os
import sys
import time


class SocketArgs(c.Structure):
    _fields_ = [("path", c.c_char * 108), ("app_name", c.c_char * 32), ("timer", c.c_long * 4),
                ("on_control_fd_update", c.c_void_p), ("alloc", c.c_void_p), ("realloc", c.c_void_p),
                ("free", c.c_void_p)]


class ConnArgs(c.Structure):
    _fields_ = [("socket", c.c_void_p), ("secret", c.c_uint8 * 24), ("num_s2m_rings", c.c_uint8),
                ("num_m2s_rings", c.c_uint8), ("buffer_size", c.c_uint16), ("log2_ring_size", c.c_uint8),
                ("is_master", c.c_uint8), ("interface_id", c.c_uint32), ("interface_name", c.c_uint8 * 32),
                ("mode", c.c_uint8)]


class Buffer(c.Structure):
    _fields_ = [("desc_index", c.c_uint16), ("queue", c.c_void_p), ("len", c.c_uint32), ("flags", c.c_uint8),
                ("data", c.c_void_p)]


assert (c.sizeof(SocketArgs), c.sizeof(ConnArgs), c.sizeof(Buffer)) == (208, 80, 32)
lib = c.CDLL(sys.argv[1])
lib.memif_strerror.restype = c.c_char_p
lib.memif_get_version_str.restype = c.c_char_p
assert lib.memif_get_version() == 0x0200 and lib.memif_get_version_str() == b"2.0"
UPDATE = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p)


def check(code):
    if code != 0:
        raise RuntimeError(lib.memif_strerror(code).decode())


class End:
    def __init__(self, master):
        self.up = False
        self.socket, self.conn = c.c_void_p(), c.c_void_p()
        self.on_connect, self.on_disconnect = UPDATE(self.connected), UPDATE(lambda conn, ctx: 0)
        check(lib.memif_create_socket(c.byref(self.socket), c.byref(SocketArgs(os.environ["SOCKET"].encode())), None))
        args = ConnArgs(socket=self.socket, is_master=master)
        check(lib.memif_create(c.byref(self.conn), c.byref(args), self.on_connect, self.on_disconnect, None, None))

    def connected(self, conn, _):
        self.up = True
        return lib.memif_refill_queue(c.c_void_p(conn), 0, c.c_uint16(0xFFFF), 0)

    def send(self, data):
        buffers, n = (Buffer * 4)(), c.c_uint16()
        check(lib.memif_buffer_alloc(self.conn, 0, buffers, 1, c.byref(n), len(data)))
        for buffer in buffers[:n.value]:
            c.memmove(buffer.data, data[:buffer.len], buffer.len)
            data = data[buffer.len:]
        check(lib.memif_tx_burst(self.conn, 0, buffers, n.value, c.byref(n)))

    def receive(self):
        buffers, n = (Buffer * 8)(), c.c_uint16()
        check(lib.memif_rx_burst(self.conn, 0, buffers, 8, c.byref(n)))
        data = b"".join(c.string_at(buffer.data, buffer.len) for buffer in buffers[:n.value])
        check(lib.memif_refill_queue(self.conn, 0, n, 0))
        return data

    def close(self):
        check(lib.memif_delete(c.byref(self.conn)))
        check(lib.memif_delete_socket(c.byref(self.socket)))
        assert self.conn.value is None and self.socket.value is None


ends = [End(1), End(0)]
deadline = time.monotonic() + 20
while not all(end.up for end in ends):
    assert time.monotonic() < deadline
    for end in ends:
        check(lib.memif_poll_event(end.socket, 1))
for sender, receiver in (ends, ends[::-1]):
    for size in (60, 1500, 5000):
        sent = os.urandom(size)
        sender.send(sent)
        assert receiver.receive() == sent
for end in ends:
    end.close()
print("packets both ways")
