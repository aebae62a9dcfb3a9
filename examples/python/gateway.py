#!/usr/bin/env python3
"""Carries the packets of a memif in UDP datagrams to another host, and back, with asyncio.

    gateway.py /run/lab.sock LOCAL-ADDRESS:PORT REMOTE-ADDRESS:PORT
"""

import asyncio
import sys

import memif.aio


class FromNetwork(asyncio.DatagramProtocol):
    def __init__(self, tx):
        self.tx = tx

    def datagram_received(self, data, address):
        if data:
            self.tx.queue.send([data])  # a full ring loses it, as a network does


async def main(socket, local, remote):
    def address(text):
        host, port = text.rsplit(":", 1)
        return host, int(port)

    async with memif.aio.Interface(socket, role="server") as port:
        udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: FromNetwork(port.tx[0]), local_addr=address(local), remote_addr=address(remote)
        )
        try:
            async for packet in port.rx[0]:
                udp.sendto(bytes(packet))
        finally:
            udp.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        pass
