#!/usr/bin/env python3
"""Writes the seeds that are made by hand: control messages, packets, captures and words. Those of the other targets were
found by the fuzzers and chosen by scripts/fuzz.sh --keep.

    fuzz/make_corpus.py        into fuzz/corpus/TARGET/
"""
import gzip
import ipaddress
import pathlib
import struct
import sys

CORPUS = pathlib.Path(__file__).parent / "corpus"
MAC, PEER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def write(target, name, data):
    directory = CORPUS / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(data)


def message(kind, body):
    return (struct.pack("<H", kind) + body).ljust(128, b"\0")


MESSAGES = {
    "none": message(0, b""),
    "ack": message(1, b""),
    "hello": message(2, struct.pack("<32sHHHHHB", b"server", 0x200, 0x200, 255, 255, 255, 14)),
    "init": message(3, struct.pack("<HIB24s32s", 0x200, 7, 0, b"secret", b"client")),
    "init-ip": message(3, struct.pack("<HIB24s32s", 0x200, 7, 1, b"", b"x" * 32)),
    "add-region": message(4, struct.pack("<HQ", 0, 1 << 20)),
    "add-ring": message(5, struct.pack("<HHHIBH", 1, 0, 0, 0, 10, 0)),
    "connect": message(6, b"interface"),
    "connected": message(7, b"interface"),
    "disconnect": message(8, struct.pack("<I96s", 5, b"wrong secret")),
    "unknown": message(9, b""),
    "short": message(1, b"")[:127],
}


def total(data, start=0):
    data += b"\0" * (len(data) % 2)
    result = start + sum(struct.unpack(f">{len(data) // 2}H", data))
    while result > 0xFFFF:
        result = (result & 0xFFFF) + (result >> 16)
    return ~result & 0xFFFF


def ipv4(source, destination, protocol, payload, fragment=0):
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, fragment, 64, protocol, 0) + addresses
    return header[:10] + struct.pack(">H", total(header)) + header[12:] + payload


def ipv6(source, destination, following, payload, hops=255):
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return struct.pack(">IHBB", 6 << 28, len(payload), following, hops) + addresses + payload


def icmp(kind, rest):
    body = struct.pack(">BBH", kind, 0, 0) + rest
    return body[:2] + struct.pack(">H", total(body)) + body[4:]


def icmp6(source, destination, kind, rest):
    body = struct.pack(">BBH", kind, 0, 0) + rest
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    pseudo = addresses + struct.pack(">II", len(body), 58)
    return ipv6(source, destination, 58, body[:2] + struct.pack(">H", total(pseudo + body)) + body[4:])


def tcp(source, destination, payload):
    segment = struct.pack(">HHIIHHHH", 80, 4000, 1, 2, 0x5010, 100, 0, 0) + payload
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    sum_ = total(addresses + struct.pack(">II", len(segment), 6) + segment)
    return segment[:16] + struct.pack(">H", sum_) + segment[18:]


def ethernet(kind, payload):
    return MAC + PEER + struct.pack(">H", kind) + payload


def vlan(tag, kind, payload):
    return struct.pack(">HH", tag, kind) + payload


ARP = struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + PEER + bytes([10, 0, 0, 2]) + bytes(6) + bytes([10, 0, 0, 1])
UDP = struct.pack(">HHHH", 53, 5353, 12, 0x1234) + b"data"
TCP = struct.pack(">HHIIHHHH", 80, 4000, 1, 2, 0x5010, 100, 0x4321, 0)
PING = ipv4("10.0.0.2", "10.0.0.1", 1, icmp(8, struct.pack(">HH", 1, 2) + bytes(range(16))))
SOLICITATION = icmp6("fd00::2", "fd00::1", 135,
                     bytes(4) + ipaddress.ip_address("fd00::1").packed + b"\x01\x01" + PEER)
PING6 = icmp6("fd00::2", "fd00::1", 128, struct.pack(">HH", 1, 2) + b"hello")
FRAMES = {
    "arp": ethernet(0x806, ARP),
    "ping": ethernet(0x800, PING),
    "udp": ethernet(0x800, ipv4("10.0.0.2", "10.0.0.1", 17, UDP)),
    "udp-fragment": ethernet(0x800, ipv4("10.0.0.2", "10.0.0.1", 17, UDP, fragment=0x2000)),
    "tcp": ethernet(0x800, ipv4("10.1.2.3", "10.0.0.1", 6, TCP)),
    "tcp-data": ethernet(0x800, ipv4("10.0.0.2", "10.0.0.1", 6, tcp("10.0.0.2", "10.0.0.1", bytes(range(100))))),
    "tcp6-data": ethernet(0x86DD, ipv6("fd00::2", "fd00::1", 6, tcp("fd00::2", "fd00::1", b"hello"))),
    "vlan": ethernet(0x8100, vlan(5, 0x800, PING)),
    "qinq": ethernet(0x88A8, vlan(5, 0x8100, vlan(6, 0x806, ARP))),
    "solicitation": ethernet(0x86DD, SOLICITATION),
    "ping6": ethernet(0x86DD, PING6),
    "udp6-extension": ethernet(0x86DD, ipv6("fd00::2", "fd00::1", 0, struct.pack(">BB6x", 17, 0) + UDP)),
    "fragment6": ethernet(0x86DD, ipv6("fd00::2", "fd00::1", 44, struct.pack(">BBHI", 6, 0, 8, 1) + TCP)),
    "other": ethernet(0x88CC, b"lldp"),
    "short": MAC,
}


def pcap(order, magic, link, packets):
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for packet in packets:
        data += struct.pack(order + "IIII", 1, 999_999, len(packet), len(packet) + 4) + packet
    return data


def block(order, kind, body):
    body += b"\0" * (-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def pcapng(order, packets):
    data = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    data += block(order, 1, struct.pack(order + "HHI", 1, 0, 0) + struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0))
    for packet in packets:
        data += block(order, 6, struct.pack(order + "IIIII", 0, 0, 1000, len(packet), len(packet)) + packet)
    return data


CAPTURES = {
    "empty": b"",
    "microseconds": pcap("<", 0xA1B2C3D4, 1, [FRAMES["arp"], FRAMES["ping"]]),
    "nanoseconds": pcap("<", 0xA1B23C4D, 1, [FRAMES["udp"]]),
    "big-endian": pcap(">", 0xA1B2C3D4, 1, [FRAMES["tcp"]]),
    "raw-ip": pcap("<", 0xA1B2C3D4, 101, [PING]),
    "cut": pcap("<", 0xA1B2C3D4, 1, [FRAMES["arp"]])[:-3],
    "pcapng": pcapng("<", [FRAMES["arp"], FRAMES["ping6"]]),
    "pcapng-big-endian": pcapng(">", [FRAMES["arp"]]),
    "pcapng-cut": pcapng("<", [FRAMES["arp"]])[:-5],
}

# By what the target's first byte chooses.
WORDS = {
    0: ["memif:/run/vpp/memif.sock", "memif:@lab,netns_name=blue,id=7,role=server,mode=ethernet,secret=s",
        "memif:/tmp/m.sock,ring=1024,buffer=2KiB,queues=4,rx-mode=adaptive,wait=forever,name=x,reconnect",
        "memif:/tmp/m.sock,role=master,mode=ip,wait=1.5s,reconnect=250ms", "memif:,id=1", "memif:x,id=4294967296"],
    2: ["tap:memif0,address=192.168.7.1/24,mtu=1500,mac=02:00:00:00:00:01,netns=blue",
        "tap:memif0,address=fd00::1/64", "xdp:eth0,queue=1,mode=zero-copy", "pcap:in=a.pcap,loop=3,pace=top",
        "pcap:out=b.pcap", "memif:/tmp/m.sock,role=client", "tap:../x", "foo:bar"],
    4: ["500ms", "2s", "1.5m", "3h", "7", "1e3", "64", "2KiB", "1.5MB", "-1", "18446744073709551616GiB"],
    5: ["10Mpps", "250kpps", "1000", "5Gbps", "100M", "99", "nan", "5Gbit/s"],
    6: ["10.0.0.0/8=192.0.0.0/8", "fd00::1=fd00::2", "10.0.0.0/8=fd00::/8", "1.2.3.4/33=1.2.3.4/33"],
    8: ["10.0.0.1-10.0.1.5", "10.0.0.0/24", "fd00::/16", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1-65535",
        "02:00:00:00:00:01-02:00:00:00:00:ff", "64:7,570:4,1518:1", "imix"],
    7: ["10.0.0.1", "fd00::1", "::ffff:1.2.3.4", "02:00:00:00:00:01", "1.2.3", "::1::"],
}

sys.path.append(str(pathlib.Path(__file__).parents[1] / "tests" / "e2e"))
from packets import PACKETS  # pylint: disable=wrong-import-position

for name, frame in PACKETS:
    write("decode", name, b"\x80" + frame)
for name, data in MESSAGES.items():
    write("message", name, data)
for name, frame in FRAMES.items():
    write("packet", f"ethernet-{name}", b"\x08" + frame)
    write("packet", f"ip-{name}", b"\x0c" + frame[14:])
for name, data in CAPTURES.items():
    write("capture", name, data)
    write("capture", f"{name}-gzip", gzip.compress(data, mtime=0))
for kind, words in WORDS.items():
    for number, word in enumerate(words):
        write("words", f"{kind}-{number}", bytes([kind]) + word.encode())
