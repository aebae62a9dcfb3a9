#include "replay/rewrite.hpp"

#include <gtest/gtest.h>

#include "common/command.hpp"

namespace memif::tool {
namespace {

const IpAddress v4_a = parse_address("10.0.0.1"), v4_b = parse_address("10.0.0.2");
const IpAddress v6_a = parse_address("fd00::1"), v6_b = parse_address("fd00::2");

Bytes echo(const IpAddress& source, const IpAddress& destination) {
  Bytes out;
  append_echo(out, source, destination, {true, 7, 9}, Bytes(31, 0xa5));
  return out;
}

TEST(ReplayRewrite, Ipv4KeepsTheHostPartAndItsChecksumsRight) {
  Bytes packet = echo(v4_a, v4_b);
  Rewrite{{}, {}, {parse_address_map("10.0.0.0/28=192.168.7.240/28")}}.apply(packet, Mode::ip);
  const auto ip = parse_ip(packet, packet.size());  // checks the header's checksum
  ASSERT_TRUE(ip);
  EXPECT_EQ(to_string(ip->source), "192.168.7.241");
  EXPECT_EQ(to_string(ip->destination), "192.168.7.242");
  EXPECT_TRUE(icmp_checksum_right(*ip));
}

TEST(ReplayRewrite, Ipv6AdjustsTheChecksumOfIcmp) {
  Bytes packet = echo(v6_a, v6_b);
  Rewrite{{}, {}, {parse_address_map("fd00::1=2001:db8::77")}}.apply(packet, Mode::ip);
  const auto ip = parse_ip(packet, packet.size());
  ASSERT_TRUE(ip);
  EXPECT_EQ(to_string(ip->source), "2001:db8::77");
  EXPECT_EQ(ip->destination, v6_b);
  EXPECT_TRUE(icmp_checksum_right(*ip));
}

TEST(ReplayRewrite, MacsAndArpBehindAVlanTag) {
  const Mac a{2, 0, 0, 0, 0, 1}, b{2, 0, 0, 0, 0, 2}, c{2, 0, 0, 0, 0, 3};
  Bytes frame;
  append_ethernet(frame, broadcast_mac, a, ethertype::vlan);
  frame.insert(frame.end(), {0, 5, 8, 6});
  append_arp(frame, {Arp::request, a, v4_a, {}, v4_b});
  Rewrite{b, c, {parse_address_map("10.0.0.2=10.9.9.9")}}.apply(frame, Mode::ethernet);
  const auto ethernet = parse_ethernet(frame);
  EXPECT_EQ(ethernet->source, b);
  EXPECT_EQ(ethernet->destination, c);
  const auto arp = parse_arp(parse_vlan(ethernet->payload)->payload);
  ASSERT_TRUE(arp);
  EXPECT_EQ(arp->sender, v4_a);
  EXPECT_EQ(to_string(arp->target), "10.9.9.9");
}

TEST(ReplayRewrite, UdpWithoutChecksumStaysWithout) {
  Bytes packet;
  append_ip(packet, v4_a, v4_b, protocol::udp, 64, 8);
  packet.insert(packet.end(), {0, 1, 0, 2, 0, 8, 0, 0});
  Rewrite{{}, {}, {parse_address_map("10.0.0.1=10.0.0.3")}}.apply(packet, Mode::ip);
  EXPECT_EQ(get16(packet, 26), 0);
}

// Every prefix of every kind of packet, in memory of just that size: sanitizers see what is read or written beyond.
TEST(ReplayRewrite, TruncatedPacketsAreNotReadBeyondTheirEnd) {
  const Rewrite rewrite{Mac{2}, Mac{2}, {parse_address_map("0.0.0.0/0=1.2.3.4/0"), parse_address_map("::/0=::/0")}};
  for (const Bytes& whole : {echo(v4_a, v4_b), echo(v6_a, v6_b)}) {
    for (int first_upper = 0; first_upper < 256; ++first_upper) {
      for (std::size_t size = 0; size <= whole.size(); ++size) {
        Bytes packet(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        packet.shrink_to_fit();
        if (size > 6) packet[6] = static_cast<std::uint8_t>(first_upper);
        rewrite.apply(packet, Mode::ip);
        EXPECT_EQ(packet.size(), size);
      }
    }
  }
}

TEST(ReplayRewrite, MapsThatCannotBe) {
  for (const char* text : {"10.0.0.1", "10.0.0.1=fd00::1", "10.0.0.0/8=11.0.0.0/9", "=", "x=y"})
    EXPECT_THROW(parse_address_map(text), UsageError) << text;
}

}  // namespace
}  // namespace memif::tool
