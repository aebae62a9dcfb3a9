#!/usr/bin/env python3
"""Answers ARP requests and pings for an address, with Scapy.

    responder.py /run/lab.sock 192.168.7.2 [server|client]
"""

import sys

from memif.scapy import MemifSocket
from scapy.all import ARP, ICMP, IP, Ether, sniff

MAC = "02:00:00:00:00:02"


def answer(packet, address):
    """The answer to a packet, or None."""
    if ARP in packet and packet[ARP].op == 1 and packet[ARP].pdst == address:
        arp = ARP(op=2, hwsrc=MAC, psrc=address, hwdst=packet[ARP].hwsrc, pdst=packet[ARP].psrc)
        return Ether(src=MAC, dst=packet.src) / arp
    if ICMP in packet and packet[ICMP].type == 8 and packet[IP].dst == address:
        ip = IP(src=address, dst=packet[IP].src)
        echo = ICMP(type=0, id=packet[ICMP].id, seq=packet[ICMP].seq)
        return Ether(src=MAC, dst=packet.src) / ip / echo / bytes(packet[ICMP].payload)
    return None


def main(socket, address, role="server"):
    port = MemifSocket(socket, role=role, timeout=None)

    def respond(packet):
        reply = answer(packet, address)
        if reply is not None:
            port.send(reply)

    sniff(opened_socket=port, prn=respond, store=False)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
