"""Packets of many protocols, whole and right: (name, frame)."""

import socket
import struct

M1, M2 = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def total(data):
    """The checksum of RFC 1071."""
    data += b"\0" * (len(data) % 2)
    result = sum(struct.unpack(f">{len(data) // 2}H", data))
    while result >> 16:
        result = (result >> 16) + (result & 0xFFFF)
    return ~result & 0xFFFF


def ethernet(kind, payload, destination=M2):
    return destination + M1 + struct.pack(">H", kind) + payload


def ipv4(protocol, payload, source="10.0.0.1", destination="10.0.0.2", fragment=0x4000, ident=0, ttl=64):
    head = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(payload), ident, fragment, ttl, protocol)
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return head + struct.pack(">H", total(head + b"\0\0" + addresses)) + addresses + payload


def packed6(address):
    return socket.inet_pton(socket.AF_INET6, address)


def ipv6(following, payload, source="fd00::1", destination="fd00::2", hops=64):
    return struct.pack(">IHBB", 6 << 28, len(payload), following, hops) + packed6(source) + packed6(destination) + payload


def pseudo(source, destination, protocol, size):
    pack = packed6 if ":" in source else socket.inet_aton
    return pack(source) + pack(destination) + struct.pack(">II", size, protocol)


def udp(data, sport=1025, dport=9, source="10.0.0.1", destination="10.0.0.2"):
    head = struct.pack(">HHH", sport, dport, 8 + len(data))
    sum_ = total(pseudo(source, destination, 17, 8 + len(data)) + head + b"\0\0" + data) or 0xFFFF
    return head + struct.pack(">H", sum_) + data


def udp6(data, dport=9, source="fd00::1", destination="fd00::2"):
    return udp(data, dport=dport, source=source, destination=destination)


def tcp(flags, data=b"", ack=0, options=b"", urgent=0, source="10.0.0.1", destination="10.0.0.2"):
    offset = (5 + len(options) // 4) << 4
    head = struct.pack(">HHIIBBHHH", 40000, 9000, 1000, ack, offset, flags, 64240, 0, urgent) + options
    sum_ = total(pseudo(source, destination, 6, len(head + data)) + head + data)
    return head[:16] + struct.pack(">H", sum_) + head[18:] + data


def icmp(kind, code, rest):
    head = struct.pack(">BB", kind, code)
    return head + struct.pack(">H", total(head + b"\0\0" + rest)) + rest


def icmp6(kind, code, rest, source="fd00::1", destination="fd00::2"):
    head = struct.pack(">BB", kind, code)
    sum_ = total(pseudo(source, destination, 58, 4 + len(rest)) + head + b"\0\0" + rest)
    return head + struct.pack(">H", sum_) + rest


def arp(operation, sender, target):
    return (struct.pack(">HHBBH", 1, 0x800, 6, 4, operation) + M1 + socket.inet_aton(sender) + bytes(6)
            + socket.inet_aton(target))  # fmt: skip


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def v4(packet):
    return ethernet(0x0800, packet)


def v6(packet):
    return ethernet(0x86DD, packet)


INNER = ipv4(17, udp(b"x" * 22))
QUOTED = bytes(4) + ipv4(17, udp(b"y" * 20, sport=5000, dport=53000))[:28]
QUOTED6 = ipv6(17, udp6(b"q" * 8, 53000, "fd00::2", "fd00::1"), "fd00::2", "fd00::1")
ECHO = struct.pack(">HH", 7, 3) + b"a" * 56
SOLICITED = bytes(4) + packed6("fd00::2")
QUESTION = name("example.com") + struct.pack(">HH", 1, 1)
ANSWERS = (b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, 6) + b"\x03www\xc0\x0c"
           + b"\xc0\x29" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton("93.184.216.34"))  # fmt: skip
DHCP = struct.pack(">BBBBIHH16x", 1, 1, 6, 0, 0x12345678, 0, 0) + M1 + bytes(202) + b"\x63\x82\x53\x63\x35\x01\x01\xff"
STP = (b"\x42\x42\x03" + bytes(5) + b"\x80\0" + M1 + struct.pack(">I", 4) + b"\x80\0" + M2
       + struct.pack(">HHHHH", 0x8001, 0, 0x1400, 0x200, 0xF00) + bytes(8))  # fmt: skip
LISTENER = struct.pack(">HHI", 0, 1, 0x04000000) + packed6("ff02::1:ff00:1")
LLDP = b"\x02\x07\x04" + M1 + b"\x04\x05\x05eth0" + b"\x06\x02\0\x78" + b"\x0a\x06switch" + b"\0\0"


def dns(flags, answers, body):
    return struct.pack(">HHHHHH", 0x1234, flags, 1, answers, 0, 0) + body


PACKETS = [
    ("udp", v4(INNER)),
    ("udp6", v6(ipv6(17, udp6(b"x" * 22)))),
    ("udp-empty", v4(ipv4(17, udp(b"")))),
    ("tcp-syn", v4(ipv4(6, tcp(2, options=bytes.fromhex("020405b40402080a000000010000000001030307"))))),
    ("tcp-syn-ack", v4(ipv4(6, tcp(0x12, ack=1001, options=bytes.fromhex("020405b4"))))),
    ("tcp-ack", v4(ipv4(6, tcp(0x10, ack=5)))),
    ("tcp-data", v4(ipv4(6, tcp(0x18, b"z" * 100, 7, bytes.fromhex("0101080a0000000500000009"))))),
    ("tcp-fin", v4(ipv4(6, tcp(0x11, ack=7)))),
    ("tcp-rst", v4(ipv4(6, tcp(4)))),
    ("tcp-urg", v4(ipv4(6, tcp(0x30, b"u", ack=1, urgent=1)))),
    ("tcp-none", v4(ipv4(6, tcp(0)))),
    ("tcp-ecn", v4(ipv4(6, tcp(0xC2)))),
    ("tcp-sack", v4(ipv4(6, tcp(0x10, ack=7, options=bytes.fromhex("0101050a0000100000002000"))))),
    ("tcp6", v6(ipv6(6, tcp(2, source="fd00::1", destination="fd00::2")))),
    ("arp-request", ethernet(0x0806, arp(1, "10.0.0.1", "10.0.0.2"), b"\xff" * 6)),
    ("arp-reply", ethernet(0x0806, arp(2, "10.0.0.1", "10.0.0.2"))),
    ("arp-probe", ethernet(0x0806, arp(1, "0.0.0.0", "10.0.0.1"), b"\xff" * 6)),
    ("echo-request", v4(ipv4(1, icmp(8, 0, ECHO)))),
    ("echo-reply", v4(ipv4(1, icmp(0, 0, ECHO)))),
    ("unreachable-net", v4(ipv4(1, icmp(3, 0, QUOTED)))),
    ("unreachable-host", v4(ipv4(1, icmp(3, 1, QUOTED)))),
    ("unreachable-port", v4(ipv4(1, icmp(3, 3, QUOTED)))),
    ("unreachable-mtu", v4(ipv4(1, icmp(3, 4, struct.pack(">HH", 0, 1400) + QUOTED[4:])))),
    ("unreachable-filter", v4(ipv4(1, icmp(3, 13, QUOTED)))),
    ("time-exceeded", v4(ipv4(1, icmp(11, 0, QUOTED)))),
    ("redirect", v4(ipv4(1, icmp(5, 1, socket.inet_aton("10.0.0.9") + QUOTED[4:])))),
    ("echo6-request", v6(ipv6(58, icmp6(128, 0, ECHO)))),
    ("solicitation", v6(ipv6(58, icmp6(135, 0, SOLICITED + b"\x01\x01" + M1), hops=255))),
    ("advertisement", v6(ipv6(58, icmp6(136, 0, b"\x60" + SOLICITED[1:] + b"\x02\x01" + M1), hops=255))),
    ("router-solicitation", v6(ipv6(58, icmp6(133, 0, bytes(4)), hops=255))),
    ("router-advertisement", v6(ipv6(58, icmp6(134, 0, struct.pack(">BBHII", 64, 0, 1800, 0, 0) + b"\x01\x01" + M1),
                                     hops=255))),  # fmt: skip
    ("unreachable6-port", v6(ipv6(58, icmp6(1, 4, bytes(4) + QUOTED6)))),
    ("too-big6", v6(ipv6(58, icmp6(2, 0, struct.pack(">I", 1280) + QUOTED6)))),
    ("time-exceeded6", v6(ipv6(58, icmp6(3, 0, bytes(4) + QUOTED6)))),
    ("listener-report", v6(ipv6(0, b"\x3a\0\x05\x02\0\0\x01\0" + icmp6(143, 0, LISTENER, destination="ff02::16"),
                                destination="ff02::16", hops=1))),  # fmt: skip
    ("fragment-first", v4(ipv4(17, udp(b"x" * 40)[:32], fragment=0x2000, ident=77))),
    ("fragment-last", v4(ipv4(17, b"x" * 16, fragment=4, ident=77))),
    ("fragment6-first", v6(ipv6(44, b"\x11\0\0\x01\0\0\0\x09" + udp(b"x" * 40)[:32]))),
    ("fragment6-last", v6(ipv6(44, b"\x11\0\0\x20\0\0\0\x09" + b"x" * 16))),
    ("routing6", v6(ipv6(43, b"\x11\x02\0\x01\0\0\0\0" + packed6("fd00::9") + udp6(b"xxxx", destination="fd00::9")))),
    ("options6", v6(ipv6(60, b"\x11\0\x01\x04\0\0\0\0" + udp6(b"xxxx")))),
    ("vlan", ethernet(0x8100, struct.pack(">HH", 10, 0x800) + INNER)),
    ("qinq", ethernet(0x88A8, struct.pack(">HHHH", 100, 0x8100, 0x600A, 0x800) + INNER)),
    ("mpls", ethernet(0x8847, struct.pack(">I", 100 << 12 | 0x100 | 64) + INNER)),
    ("mpls-two", ethernet(0x8847, struct.pack(">II", 100 << 12 | 64, 200 << 12 | 3 << 9 | 0x100 | 63) + INNER)),
    ("vxlan", v4(ipv4(17, udp(b"\x08\0\0\0\0\0\x64\0" + v4(INNER), dport=4789)))),
    ("geneve", v4(ipv4(17, udp(b"\0\0\x65\x58\0\0\x64\0" + v4(INNER), dport=6081)))),
    ("gre", v4(ipv4(47, b"\0\0\x08\0" + INNER))),
    ("gre-key", v4(ipv4(47, b"\x20\0\x65\x58\0\0\0\x07" + v4(INNER)))),
    ("gtp-u", v4(ipv4(17, udp(b"\x30\xff" + struct.pack(">HI", len(INNER), 0x1234) + INNER, 2152, 2152)))),
    ("ip-in-ip", v4(ipv4(4, INNER))),
    ("ip6-in-ip", v4(ipv4(41, ipv6(17, udp6(b"xxxx"))))),
    ("igmp-report", v4(ipv4(2, icmp(0x16, 0, socket.inet_aton("239.1.1.1")), destination="239.1.1.1", ttl=1))),
    ("igmp-query", v4(ipv4(2, icmp(0x11, 100, bytes(4)), destination="224.0.0.1", ttl=1))),
    ("igmp3-report", v4(ipv4(2, icmp(0x22, 0, struct.pack(">HHI", 0, 1, 0x04000000) + socket.inet_aton("239.1.1.1")),
                             destination="224.0.0.22", ttl=1))),  # fmt: skip
    ("sctp", v4(ipv4(132, struct.pack(">HHII", 5000, 6000, 0, 0) + struct.pack(">BBHIIHHI", 1, 0, 20, 1, 65536, 10, 10, 5)))),
    ("lldp", ethernet(0x88CC, LLDP, bytes.fromhex("0180c200000e"))),
    ("stp", ethernet(len(STP) - 8, STP, bytes.fromhex("0180c2000000"))),
    ("lacp", ethernet(0x8809, b"\x01\x01\x01\x14" + bytes(106), bytes.fromhex("0180c2000002"))),
    ("dns-query", v4(ipv4(17, udp(dns(0x0100, 0, QUESTION), dport=53)))),
    ("dns-answer", v4(ipv4(17, udp(dns(0x8180, 2, QUESTION + ANSWERS), 53, 1025)))),
    ("dns-no-such-name", v4(ipv4(17, udp(dns(0x8183, 0, name("nope.example") + struct.pack(">HH", 28, 1)), 53, 1025)))),
    ("dhcp", v4(ipv4(17, udp(DHCP, 68, 67, "0.0.0.0", "255.255.255.255"), "0.0.0.0", "255.255.255.255"))),
    ("protocol", v4(ipv4(253, b"x" * 10))),
    ("ethertype", ethernet(0x88B5, b"x" * 50)),
]
