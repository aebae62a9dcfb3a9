// Headers from bytes written by hand, and bytes from values.
#include "net/codec.hpp"

#include <gtest/gtest.h>

#include "common/command.hpp"

namespace memif::tool {
namespace {

const Mac mac_a{0x02, 0, 0, 0, 0, 0x0a};
const Mac mac_b{0x02, 0, 0, 0, 0, 0x0b};

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

const Bytes arp_request{
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0,    0, 0, 0, 0x0a, 0x08, 0x06,  // Ethernet: broadcast, from a, ARP
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01,                             // Ethernet, IPv4, request
    0x02, 0,    0,    0,    0,    0x0a, 192,  168,  7, 1,                       // sender
    0,    0,    0,    0,    0,    0,    192,  168,  7, 2,                       // target
};

// 192.168.7.1 > 192.168.7.2, echo request, id 0x1234, sequence 1, data "abcd".
const Bytes echo_request{
    0x45, 0x00, 0x00, 0x20, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0xab, 0x89, 192, 168, 7,   1,
    192,  168,  7,    2,    0x08, 0x00, 0x21, 0x04, 0x12, 0x34, 0x00, 0x01, 'a', 'b', 'c', 'd',
};

// fe80::1 > ff02::1:ff00:2, neighbor solicitation for fd00::2 with the source's MAC address.
const Bytes solicitation{
    0x60, 0,    0,    0,    0x00, 0x20, 58, 255,                                    // version 6, 32 bytes, ICMPv6, 255
    0xfe, 0x80, 0,    0,    0,    0,    0,  0,    0, 0, 0, 0, 0,    0,    0,    1,  //
    0xff, 0x02, 0,    0,    0,    0,    0,  0,    0, 0, 0, 1, 0xff, 0x00, 0x00, 0x02,  //
    135,  0,    0x7c, 0x0e, 0,    0,    0,  0,                                         // solicitation, checksum
    0xfd, 0x00, 0,    0,    0,    0,    0,  0,    0, 0, 0, 0, 0,    0,    0,    2,     // target
    1,    1,    0x02, 0,    0,    0,    0,  0x0a,                                      // source link-layer address
};

TEST(Checksum, OfTheExampleInRfc1071) {
  const Bytes bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(checksum(bytes), 0x220d);  // the complement of ddf2
}

TEST(Checksum, PadsAnOddByte) { EXPECT_EQ(checksum(Bytes{0x12, 0x34, 0x56}), checksum(Bytes{0x12, 0x34, 0x56, 0x00})); }

TEST(Checksum, AdjustedEqualsMadeAnew) {
  for (const int value : {0x0000, 0x0001, 0x1234, 0xfffe, 0xffff}) {
    const auto after = static_cast<std::uint16_t>(value);
    Bytes bytes{0x45, 0x00, 0x08, 0x00, 0xde, 0xad};
    const std::uint16_t before = checksum(bytes);
    const std::uint16_t old_word = get16(bytes, 2);
    put16(bytes, 2, after);
    EXPECT_EQ(adjust_checksum(before, old_word, after), checksum(bytes)) << after;
  }
}

TEST(ParseEthernet, NeedsItsHeader) {
  const auto frame = parse_ethernet(arp_request);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->destination, broadcast_mac);
  EXPECT_EQ(frame->source, mac_a);
  EXPECT_EQ(frame->type, ethertype::arp);
  EXPECT_EQ(frame->payload.size(), 28u);
  EXPECT_FALSE(parse_ethernet(View(arp_request).first(13)));
}

TEST(ParseArp, ReadsARequest) {
  const auto arp = parse_arp(View(arp_request).subspan(14));
  ASSERT_TRUE(arp);
  EXPECT_EQ(arp->operation, Arp::request);
  EXPECT_EQ(arp->sender_mac, mac_a);
  EXPECT_EQ(arp->sender, ip("192.168.7.1"));
  EXPECT_EQ(arp->target, ip("192.168.7.2"));
}

TEST(ParseArp, RefusesOtherKindsAndLengths) {
  const Bytes good(arp_request.begin() + 14, arp_request.end());
  EXPECT_FALSE(parse_arp(View(good).first(27)));
  for (const std::size_t at : {0u, 2u, 4u, 5u}) {
    Bytes bad = good;
    bad[at] ^= 0x40;
    EXPECT_FALSE(parse_arp(bad)) << at;
  }
}

TEST(ParseIp, ReadsIpv4) {
  const auto packet = parse_ip(echo_request, echo_request.size());
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->source, ip("192.168.7.1"));
  EXPECT_EQ(packet->destination, ip("192.168.7.2"));
  EXPECT_EQ(packet->protocol, protocol::icmp);
  EXPECT_FALSE(packet->fragment);
  EXPECT_EQ(packet->payload_size, 12u);
  EXPECT_EQ(packet->payload.size(), 12u);
}

TEST(ParseIp, IgnoresPadding) {
  Bytes padded = echo_request;
  padded.resize(46);
  EXPECT_EQ(parse_ip(padded, padded.size())->payload.size(), 12u);
}

TEST(ParseIp, SeesOnlyTheBeginningOfALongPacket) {
  const auto packet = parse_ip(View(echo_request).first(28), echo_request.size());
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->payload_size, 12u);
  EXPECT_EQ(packet->payload.size(), 8u);
  EXPECT_FALSE(icmp_checksum_right(*packet));
}

TEST(ParseIp, RefusesLengthsThatLie) {
  EXPECT_FALSE(parse_ip(View(echo_request).first(19), 19));
  EXPECT_FALSE(parse_ip(View(echo_request).first(31), 31));  // shorter than it says
  EXPECT_FALSE(parse_ip(View(), 0));
  const auto with = [](std::size_t at, std::uint8_t value) {
    Bytes packet = echo_request;
    packet[at] = value;
    put16(packet, 10, 0);
    put16(packet, 10, checksum(View(packet).first(20)));
    return packet;
  };
  for (const Bytes& bad : {with(0, 0x44), with(0, 0x4f), with(0, 0x55), with(3, 19), with(2, 0xff)})
    EXPECT_FALSE(parse_ip(bad, bad.size()));
}

TEST(ParseIp, RefusesAWrongHeaderChecksum) {
  Bytes packet = echo_request;
  packet[11] ^= 1;
  EXPECT_FALSE(parse_ip(packet, packet.size()));
}

TEST(ParseIp, TellsFragments) {
  Bytes packet = echo_request;
  put16(packet, 6, 0x2000);
  put16(packet, 10, 0);
  put16(packet, 10, checksum(View(packet).first(20)));
  const auto parsed = parse_ip(packet, packet.size());
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->fragment);
  EXPECT_FALSE(parse_icmp(*parsed));
}

TEST(ParseIp, ReadsIpv6AndChecksItsLength) {
  const auto packet = parse_ip(solicitation, solicitation.size());
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->source, ip("fe80::1"));
  EXPECT_EQ(packet->hop_limit, 255);
  EXPECT_EQ(packet->payload_size, 32u);
  EXPECT_FALSE(parse_ip(View(solicitation).first(39), 39));
  EXPECT_FALSE(parse_ip(View(solicitation).first(71), 71));
}

TEST(ParseIcmp, ReadsAnEcho) {
  const auto packet = parse_ip(echo_request, echo_request.size());
  const auto echo = parse_icmp(*packet);
  ASSERT_TRUE(echo);
  EXPECT_EQ(echo->type, icmp::echo_request);
  EXPECT_EQ(echo->id, 0x1234);
  EXPECT_EQ(echo->sequence, 1);
  EXPECT_EQ(echo->body.size(), 4u);
  EXPECT_TRUE(icmp_checksum_right(*packet));
  Bytes changed = echo_request;
  changed.back() ^= 1;
  EXPECT_FALSE(icmp_checksum_right(*parse_ip(changed, changed.size())));
}

TEST(ParseNeighbor, ReadsASolicitation) {
  const auto packet = parse_ip(solicitation, solicitation.size());
  ASSERT_TRUE(icmp_checksum_right(*packet));
  const auto neighbor = parse_neighbor(*packet);
  ASSERT_TRUE(neighbor);
  EXPECT_TRUE(neighbor->solicitation);
  EXPECT_EQ(neighbor->target, ip("fd00::2"));
  EXPECT_EQ(neighbor->link_address, mac_a);
}

// A solicitation with one byte changed and the checksum made right again.
Bytes solicitation_with(std::size_t at, std::uint8_t value) {
  Bytes packet = solicitation;
  packet[at] = value;
  put16(packet, 42, 0);
  const auto parsed = parse_ip(packet, packet.size());
  put16(packet, 42, checksum(parsed->payload, sum_pseudo_header(parsed->source, parsed->destination, 58, 32)));
  return packet;
}

TEST(ParseNeighbor, RefusesWhatMayComeFromAfar) {
  const Bytes far = solicitation_with(7, 254);
  EXPECT_FALSE(parse_neighbor(*parse_ip(far, far.size())));
}

TEST(ParseNeighbor, RefusesMalformedOptions) {
  for (const std::uint8_t length : Bytes{0, 2, 255}) {
    const Bytes bad = solicitation_with(65, length);
    EXPECT_FALSE(parse_neighbor(*parse_ip(bad, bad.size()))) << int{length};
  }
}

TEST(ParseNeighbor, RefusesAMulticastTargetAndAWrongChecksum) {
  const Bytes group = solicitation_with(48, 0xff);
  EXPECT_FALSE(parse_neighbor(*parse_ip(group, group.size())));
  Bytes wrong = solicitation;
  wrong[43] ^= 1;
  EXPECT_FALSE(parse_neighbor(*parse_ip(wrong, wrong.size())));
}

TEST(Build, ArpRequest) {
  Bytes out;
  append_ethernet(out, broadcast_mac, mac_a, ethertype::arp);
  append_arp(out, {Arp::request, mac_a, ip("192.168.7.1"), Mac{}, ip("192.168.7.2")});
  EXPECT_EQ(out, arp_request);
}

TEST(Build, Echo) {
  Bytes out;
  append_echo(out, ip("192.168.7.1"), ip("192.168.7.2"), {true, 0x1234, 1}, Bytes{'a', 'b', 'c', 'd'});
  EXPECT_EQ(out, echo_request);
}

TEST(Build, Ipv6EchoHasARightChecksum) {
  Bytes out;
  append_echo(out, ip("fd00::1"), ip("fd00::2"), {false, 7, 9}, Bytes(1001, 0xa5));
  const auto packet = parse_ip(out, out.size());
  ASSERT_TRUE(packet);
  EXPECT_TRUE(icmp_checksum_right(*packet));
  EXPECT_EQ(parse_icmp(*packet)->type, icmp::v6_echo_reply);
}

TEST(Build, Solicitation) {
  Bytes out;
  const IpAddress target = ip("fd00::2");
  append_neighbor(out, ip("fe80::1"), target.solicited_node(), {true, target, mac_a});
  EXPECT_EQ(out, solicitation);
}

TEST(Build, AdvertisementIsReadBack) {
  Bytes out;
  append_neighbor(out, ip("fd00::2"), ip("fe80::1"), {false, ip("fd00::2"), mac_b});
  const auto neighbor = parse_neighbor(*parse_ip(out, out.size()));
  ASSERT_TRUE(neighbor);
  EXPECT_FALSE(neighbor->solicitation);
  EXPECT_EQ(neighbor->link_address, mac_b);
  EXPECT_EQ(out[44], 0x60);  // solicited, override
}

TEST(ParsePorts, OfUdpAndTcpOnly) {
  Bytes out;
  append_ip(out, ip("10.0.0.1"), ip("10.0.0.2"), protocol::udp, 64, 8);
  const Bytes udp{0x00, 0x35, 0x12, 0x34, 0x00, 0x08, 0, 0};
  out.insert(out.end(), udp.begin(), udp.end());
  const auto ports = parse_ports(*parse_ip(out, out.size()));
  ASSERT_TRUE(ports);
  EXPECT_EQ(ports->source, 53);
  EXPECT_EQ(ports->destination, 0x1234);
  EXPECT_FALSE(parse_ports(*parse_ip(echo_request, echo_request.size())));
}

TEST(Vlan, IsReadFromItsTag) {
  const auto vlan = parse_vlan(Bytes{0x20, 0x64, 0x08, 0x06, 1});
  ASSERT_TRUE(vlan);
  EXPECT_EQ(vlan->id, 100);
  EXPECT_EQ(vlan->type, ethertype::arp);
  EXPECT_FALSE(parse_vlan(Bytes{0x20, 0x64, 0x08}));
}

TEST(Addresses, AreReadAndWritten) {
  EXPECT_EQ(to_string(parse_address("fd00::1")), "fd00::1");
  EXPECT_EQ(parse_prefix("192.168.1.1/24").length, 24u);
  EXPECT_EQ(parse_prefix("fd00::1").length, 128u);
  EXPECT_EQ(parse_mac("02:00:00:00:00:0a"), mac_a);
  EXPECT_EQ(to_string(mac_a), "02:00:00:00:00:0a");
  EXPECT_EQ(random_mac()[0] & 0x03, 0x02);
  for (const char* text : {"", "192.168.7.300/24", "10.0.0.1/33", "fd00::1/129", "10.0.0.1/", "host/24"})
    EXPECT_THROW(parse_prefix(text), UsageError) << text;
  for (const char* text : {"", "02:00:00:00:00", "03:00:00:00:00:01", "02-00-00-00-00-01", "02:00:00:00:00:0g"})
    EXPECT_THROW(parse_mac(text), UsageError) << text;
}

}  // namespace
}  // namespace memif::tool
