"""memif metrics against HTTP clients that break every rule: it goes on to answer, with few connections, and leaks nothing.

MEMIF_HOSTILE_REQUESTS=100000 for a long run (default 2000)."""

import os
import random
import re
import socket
import struct
import threading
import time
import unittest

from support import MEMIF, PATIENCE, E2ETest, wait_until

REQUESTS = int(os.environ.get("MEMIF_HOSTILE_REQUESTS", "2000"))
CLIENTS = 8
MOST_CONNECTIONS = 32  # as tools/memif/observe/metrics_server.cpp has it

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
SEEDS = [
    GET,
    b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics HTTP/1.0\r\n\r\n",
    b"GET http://x/metrics?a=b&c=%00%ff#d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET /metrics HTTP/1.1\nHost: x\n folded: header\n\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PUT /metrics HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: a=b; c\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nAuthorization: Basic \xff\xff\r\nRange: bytes=9-1\r\n\r\n",
]
HOSTILE = [
    b"",
    b"\r\n" * 5000,
    b"\0" * 4096,
    b"GET",
    b"GET /metrics\r\n",
    b"GET " + b"/" * 200_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: " + b"x" * 300_000 + b"\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n-5\r\nhello",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\xaa" * 500,
    GET * 200,
    (GET + b"garbage") * 50,
]


def mutated(rng):
    """A request of the seeds' kind with a few bytes changed, doubled, or left out."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randrange(1, 8)]
        elif kind == 2:
            data[at:at] = rng.choice([b"\0", b"\r\n", b"\r", b"\n", b":", b" ", b"%", b"\xff" * 9, b"\t"])
        elif kind == 3:
            data[at:at] = data[max(0, at - rng.randrange(1, 40)) : at] * rng.randrange(1, 100)
        else:
            data += rng.choice(SEEDS)
        if not data:
            data += b"G"
    return bytes(data)


class Client:
    """Makes one bad request after the other; what it hears is nothing, or HTTP."""

    def __init__(self, address, seed):
        self.address, self.rng = address, random.Random(seed)
        self.answers = 0
        self.nonsense = []
        self.left_open = []

    def run(self, requests):
        for _ in range(requests):
            data = self.rng.choice(HOSTILE) if self.rng.randrange(4) == 0 else mutated(self.rng)
            try:
                self.request(data)
            except OSError:
                pass  # refused, or ended before all was sent
        for connection in self.left_open:
            connection.close()

    def request(self, data):
        connection = socket.create_connection(self.address, PATIENCE)
        how = self.rng.randrange(6)
        if how == 0:  # leaves it open: so few of them that others get in
            self.left_open.append(connection)
            if len(self.left_open) > 1:
                self.left_open.pop(0).close()
            connection.setblocking(False)
            connection.send(data[: len(data) // 2 or 1])
            return
        with connection:
            if how == 1:  # in pieces
                for at in range(0, min(len(data), 400), 7):
                    connection.sendall(data[at : at + 7])
            elif how == 2:  # reads nothing, and resets it
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.settimeout(1)
                connection.sendall(data)
                return
            elif how == 3:  # is gone before the answer
                connection.settimeout(1)
                connection.sendall(data)
                return
            else:
                connection.settimeout(1)
                connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            self.read(connection)

    def read(self, connection):
        connection.settimeout(0.2)  # what is not to be had until its own time-out is not waited for
        answer = b""
        try:
            while len(answer) < 1_000_000 and (part := connection.recv(65536)):
                answer += part
        finally:
            if answer:
                self.answers += 1
                if not answer.startswith(b"HTTP/1."):
                    self.nonsense.append(answer[:80])


class HostileRequests(E2ETest):
    def serve(self):
        # What AddressSanitizer keeps back of freed memory is not to hide, or to look like, growth.
        options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
        metrics = self.start("env", f"ASAN_OPTIONS={options}", MEMIF, "metrics", "--listen", "127.0.0.1:0")
        metrics.wait_for_output("/metrics")
        return metrics, ("127.0.0.1", int(re.search(r"http://[^:]+:(\d+)/", metrics.stderr)[1]))

    def answer(self, address):
        """A good client's answer, if it gets one."""
        try:
            with socket.create_connection(address, PATIENCE) as connection:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = b""
                while part := connection.recv(65536):
                    answer += part
                return answer
        except OSError:
            return b""

    def assert_answers(self, address):
        answer = wait_until(lambda: self.answer(address), "an answer")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer[:200])
        self.assertIn(b"# TYPE memif_up gauge\n", answer)

    def resident(self, process):
        """Bytes."""
        with open(f"/proc/{process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def attack(self, metrics, address, first_seed):
        """All clients at once, and a good one beside them."""
        clients = [Client(address, first_seed + i) for i in range(CLIENTS)]
        threads = [threading.Thread(target=c.run, args=(REQUESTS // CLIENTS // 2,), daemon=True) for c in clients]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.assert_answers(address)
            self.assertLess(metrics.fds(), MOST_CONNECTIONS + 20)
        self.assertGreater(sum(client.answers for client in clients), 0)
        self.assertEqual([client.nonsense for client in clients if client.nonsense], [])

    def test_neither_stop_it_nor_make_it_grow(self):
        metrics, address = self.serve()
        before = metrics.fds()
        self.attack(metrics, address, 1)
        after_some = self.resident(metrics)
        self.attack(metrics, address, 1000)
        self.assert_answers(address)
        wait_until(lambda: metrics.fds() <= before, "its connections to end")
        self.assertLess(self.resident(metrics) - after_some, 8 << 20)
        self.assertEqual(metrics.terminate(), 0, str(metrics))  # and no leak, where there is somebody to find one
        self.assertNotIn("Sanitizer", metrics.stderr)

    def test_that_are_not_finished_go_with_their_clients(self):
        """Not ten idle seconds later: 32 such clients would keep all others out for so long."""
        metrics, address = self.serve()
        before = metrics.fds()
        for half in (b"", b"G", GET[:-2], b"\0" * 4096):
            for shut in (False, True):
                with socket.create_connection(address, PATIENCE) as connection:
                    connection.sendall(half)
                    if shut:
                        connection.shutdown(socket.SHUT_WR)
                        wait_until(lambda: metrics.fds() <= before, f"the end of {half[:9]!r}", timeout=8)
                wait_until(lambda: metrics.fds() <= before, f"the end of {half[:9]!r}", timeout=8)

    def test_connections_that_say_nothing_cost_no_processor_time(self):
        metrics, address = self.serve()
        idle = [socket.create_connection(address, PATIENCE) for _ in range(MOST_CONNECTIONS // 2)]
        for connection in idle:
            connection.sendall(b"GET /met")
            self.addCleanup(connection.close)
        self.assert_answers(address)

        def cpu():
            with open(f"/proc/{metrics.pid}/stat", encoding="ascii") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        start, used = time.monotonic(), cpu()
        time.sleep(1)
        self.assertLess(cpu() - used, 0.5 * (time.monotonic() - start))
        self.assert_answers(address)


if __name__ == "__main__":
    unittest.main()
