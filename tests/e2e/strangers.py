"""Peers that others wrote, as far as it matters who dies of what: written from what is known of them (docs/protocol.md,
"Leaving" and "Peers"), not from their code."""

import os
import select
import socket
import struct
import threading
import time

ACK, HELLO, INIT, ADD_REGION, ADD_RING, CONNECT, CONNECTED, DISCONNECT = range(1, 9)
VERSION = 0x0200
SIZE = 128


def message(kind, body=b""):
    return (struct.pack("<H", kind) + body).ljust(SIZE, b"\0")


def hello(version=VERSION, rings=255):
    return message(HELLO, struct.pack("<32sHHHHHB", b"stranger", version, version, 255, rings, rings, 14))


def disconnect(text):
    return message(DISCONNECT, struct.pack("<I96s", 1, text.encode()))


def parse_disconnect(data):
    return data[6:102].rstrip(b"\0").decode()


def kind_of(data):
    return struct.unpack_from("<H", data)[0]


class Acceptor:
    """A server that dies whenever one of VPP and libmemif 2.0 to 4.0 would, and notes of what."""

    def __init__(self, path, greeting=hello(), acknowledges=True, refuses_init=None, rings=(256, 256), ring_words="",
                 delay=0):  # fmt: skip
        self.deaths = []
        self.heard = []  # of each client that has gone, the messages in order
        self._talks = []  # the same of those that are there
        self.connected = threading.Event()
        self.rings_of_the_link = None
        self._greeting, self._acknowledges, self._refuses_init = greeting, acknowledges, refuses_init
        self._rings, self._ring_words = rings, ring_words
        self._delay = delay  # of seconds, in which nobody is accepted, as while a program is stopped
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self._clients = []
        threading.Thread(target=self._accept, daemon=True).start()

    def talking(self, kind):
        """Whether a client has said that."""
        return any(kind in heard for heard in self._talks)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            client.close()

    def _accept(self):
        while True:
            try:
                if self._delay:
                    select.select([self._listener], [], [])
                    time.sleep(self._delay)
                client, _ = self._listener.accept()
            except (OSError, ValueError):  # closed
                return
            self._clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        heard = []
        self._talks.append(heard)
        try:
            client.send(self._greeting)
            self._talk(client, heard)
        except ConnectionResetError:
            pass  # which none of them minds
        except BrokenPipeError:
            if not heard:
                self.deaths.append("libmemif 4.0: HELLO cannot be sent")
        except OSError:
            pass
        client.close()
        self.heard.append(heard)

    def _talk(self, client, heard):
        rings = [0, 0]
        while True:
            data, fds, _, _ = socket.recv_fds(client, SIZE, 16)
            for fd in fds:
                os.close(fd)
            if not data:
                if not heard:
                    self.deaths.append("VPP: end of file from a visitor who took HELLO and said nothing")
                return
            kind = kind_of(data)
            identified = INIT in heard
            heard.append(kind)
            if kind == DISCONNECT and not identified:
                self.deaths.append("libmemif: DISCONNECT before INIT")
            if kind == DISCONNECT or (kind != INIT and not identified):
                return
            if kind == INIT and self._refuses_init:
                client.send(disconnect(self._refuses_init))
                return
            if kind == ADD_REGION and struct.unpack_from("<H", data, 2)[0] != 0:
                self.deaths.append("libmemif 2.0: packets in a region that is not the first")
            if kind == ADD_RING:
                flags, index = struct.unpack_from("<HH", data, 2)
                to_client = 1 - flags & 1
                if index >= self._rings[to_client]:
                    client.send(disconnect(self._ring_words))
                    return
                rings[to_client] += 1
            if kind == CONNECT:
                client.send(message(CONNECTED, b"stranger0"))
                self.rings_of_the_link = tuple(rings)
                self.connected.set()
            elif self._acknowledges:
                client.send(message(ACK))


class Client:
    """The control channel of a client, for tests that say each message themselves."""

    def __init__(self, path):
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(20)
        self.channel.connect(str(path))

    def close(self):
        self.channel.close()

    def receive(self):
        return self.channel.recv(SIZE)

    def say(self, data, fd=None):
        if fd is None:
            self.channel.send(data)
        else:
            socket.send_fds(self.channel, [data], [fd])

    def init(self, id=0):  # pylint: disable=redefined-builtin
        self.say(message(INIT, struct.pack("<HIB24s32s", VERSION, id, 0, b"", b"stranger")))
        return self.receive()

    def add_region(self, fd, size, index=0):
        self.say(message(ADD_REGION, struct.pack("<HQ", index, size)), fd)
        return self.receive()

    def add_ring(self, s2m, index, offset, fd):
        self.say(message(ADD_RING, struct.pack("<HHHIBH", s2m, index, 0, offset, 4, 0)), fd)
        return self.receive()
