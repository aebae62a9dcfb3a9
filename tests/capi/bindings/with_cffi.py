"""libmemif, generation 4, by cffi: with_cffi.py LIBRARY DECLARATIONS, the latter being the preprocessed header."""
import os
import sys
import time

import cffi

ffi = cffi.FFI()
ffi.cdef("struct timespec { long tv_sec; long tv_nsec; };"
         "struct itimerspec { struct timespec it_interval; struct timespec it_value; };" +
         open(sys.argv[2], encoding="ascii").read())
lib = ffi.dlopen(sys.argv[1])
for name, size in (("buffer", 32), ("conn_args", 80), ("details", 120), ("queue_details", 16), ("region_details", 32),
                   ("socket_args", 208)):
    assert ffi.sizeof(f"memif_{name}_t") == size, name
assert lib.MEMIF_ERR_PRIVHDR == 39 and lib.MEMIF_FD_EVENT_MOD == 16


def check(code):
    if code != lib.MEMIF_ERR_SUCCESS:
        raise RuntimeError(ffi.string(lib.memif_strerror(code)).decode())


up = set()


@ffi.callback("int(void *, void *)")
def on_connect(conn, _):
    up.add(conn)
    return lib.memif_refill_queue(conn, 0, 0xFFFF, 0)


@ffi.callback("int(void *, void *)")
def on_disconnect(conn, _):
    up.discard(conn)
    return 0


def open_end(master):
    args = ffi.new("memif_socket_args_t *", {"path": os.environ["SOCKET"].encode(), "app_name": b"cffi"})
    sock, conn = ffi.new("memif_socket_handle_t *"), ffi.new("memif_conn_handle_t *")
    check(lib.memif_create_socket(sock, args, ffi.NULL))
    conn_args = ffi.new("memif_conn_args_t *", {"socket": sock[0], "is_master": master, "interface_name": b"cffi0"})
    check(lib.memif_create(conn, conn_args, on_connect, on_disconnect, ffi.NULL, ffi.NULL))
    return sock, conn


ends = [open_end(1), open_end(0)]
deadline = time.monotonic() + 20
while len(up) != 2:
    assert time.monotonic() < deadline
    for end in ends:
        check(lib.memif_poll_event(end[0][0], 1))
buffers, n = ffi.new("memif_buffer_t[8]"), ffi.new("uint16_t *")
for (_, sender), (_, receiver) in (ends, ends[::-1]):
    sent = os.urandom(1000)
    check(lib.memif_buffer_alloc(sender[0], 0, buffers, 1, n, len(sent)))
    ffi.memmove(buffers[0].data, sent, len(sent))
    check(lib.memif_tx_burst(sender[0], 0, buffers, 1, n))
    check(lib.memif_rx_burst(receiver[0], 0, buffers, 8, n))
    assert n[0] == 1 and bytes(ffi.buffer(buffers[0].data, buffers[0].len)) == sent
    check(lib.memif_refill_queue(receiver[0], 0, 1, 0))
details, text = ffi.new("memif_details_t *"), ffi.new("char[4096]")
check(lib.memif_get_details(ends[1][1][0], details, text, 4096))
assert ffi.string(details.remote_inst_name) == b"cffi" and details.link_up_down == 1 and details.regions_num == 1
for sock, conn in ends:
    check(lib.memif_delete(conn))
    check(lib.memif_delete_socket(sock))
assert not up
print("packets both ways")
