#include "decode/decode.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace memif::tool {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

// An Ethernet frame of an IP packet, with a payload that is given.
Bytes frame_of(const char* from, const char* to, std::uint8_t protocol, View payload) {
  Bytes frame;
  append_ethernet(frame, parse_mac("02:00:00:00:00:02"), parse_mac("02:00:00:00:00:01"),
                  ip(from).v6() ? ethertype::ipv6 : ethertype::ipv4);
  append_ip(frame, ip(from), ip(to), protocol, 64, payload.size());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

Bytes udp_of(std::size_t size, std::uint16_t sum) {
  Bytes udp(8 + size);
  put16(udp, 0, 1000);
  put16(udp, 2, 9);
  put16(udp, 4, static_cast<std::uint16_t>(udp.size()));
  put16(udp, 6, sum);
  return udp;
}

std::string decoded(const Bytes& frame) { return decode(frame, frame.size(), Mode::ethernet); }

Bytes tcp_of(View data) {
  Bytes tcp(20);
  put16(tcp, 0, 4000);
  put16(tcp, 2, 80);
  tcp[12] = 0x50;
  tcp[13] = 0x18;
  tcp.insert(tcp.end(), data.begin(), data.end());
  put16(tcp, 16, checksum(tcp, sum_pseudo_header(ip("10.0.0.1"), ip("10.0.0.2"), protocol::tcp, tcp.size())));
  return tcp;
}

TEST(Decode, SaysThatAPacketIsTruncatedWhereTheCaptureKeptTooLittle) {
  const Bytes frame = frame_of("10.0.0.1", "10.0.0.2", protocol::tcp, tcp_of(Bytes(100)));
  const std::string whole = decoded(frame);
  EXPECT_EQ(whole, "IP 10.0.0.1.4000 > 10.0.0.2.80: Flags [P.], seq 0:100, ack 0, win 0, length 100");
  for (std::size_t kept = 0; kept < 52; ++kept) {
    const std::string text = decode(View(frame).first(kept), frame.size(), Mode::ethernet);
    EXPECT_THAT(text, EndsWith("truncated")) << kept;
    EXPECT_THAT(text, Not(HasSubstr("short"))) << kept;
  }
  for (std::size_t kept = 52; kept <= frame.size(); ++kept)  // all but the urgent pointer
    EXPECT_EQ(decode(View(frame).first(kept), frame.size(), Mode::ethernet), whole) << kept;
}

TEST(Decode, SaysThatAPacketIsTooShortWhereItEnds) {
  const Bytes frame = frame_of("10.0.0.1", "10.0.0.2", protocol::udp, udp_of(0, 0));
  for (std::size_t size = 0; size < frame.size(); ++size) {
    const std::string text = decode(View(frame).first(size), size, Mode::ethernet);
    EXPECT_THAT(text, testing::AnyOf(HasSubstr("too short"), HasSubstr("bytes missing"))) << size;
    EXPECT_THAT(text, Not(HasSubstr("truncated"))) << size;
  }
}

TEST(Decode, ToldWhatWasReadBeforeAllTheSame) {
  const Bytes frame = frame_of("10.0.0.1", "10.0.0.2", protocol::udp, udp_of(10, 0));
  EXPECT_EQ(decode(View(frame).first(36), frame.size(), Mode::ethernet), "IP 10.0.0.1 > 10.0.0.2: truncated");
  EXPECT_EQ(decode(View(frame).first(38), frame.size(), Mode::ethernet), "IP 10.0.0.1.1000 > 10.0.0.2.9: truncated");
}

TEST(Decode, NotesWrongAndOffloadedChecksumsBesideTheAddresses) {
  const std::string line = "IP 10.0.0.1.1000 > 10.0.0.2.9: UDP, length 4";
  const std::uint32_t pseudo = sum_pseudo_header(ip("10.0.0.1"), ip("10.0.0.2"), protocol::udp, 12);
  const auto with = [](std::uint16_t sum) { return frame_of("10.0.0.1", "10.0.0.2", protocol::udp, udp_of(4, sum)); };
  EXPECT_EQ(decoded(with(0)), line);  // none
  EXPECT_EQ(decoded(with(checksum(udp_of(4, 0), pseudo))), line);
  EXPECT_EQ(decoded(with(0x1234)), line + " [udp checksum wrong]");
  EXPECT_EQ(decoded(with(static_cast<std::uint16_t>(~checksum({}, pseudo)))), line + " [udp checksum offloaded]");
  Bytes bad_ip = with(0);
  bad_ip[24] ^= 0xff;
  EXPECT_EQ(decoded(bad_ip), line + " [ip checksum wrong]");
  const Bytes cut = with(0x1234);
  EXPECT_EQ(decode(View(cut).first(44), cut.size(), Mode::ethernet), line);  // who knows
}

TEST(Decode, GoesThroughTunnelsButNotWithoutEnd) {
  Bytes packet = udp_of(0, 0);
  for (int i = 0; i < 20; ++i) {
    Bytes outer;
    append_ip(outer, ip("10.0.0.1"), ip("10.0.0.2"), i == 0 ? protocol::udp : std::uint8_t{4}, 64, packet.size());
    outer.insert(outer.end(), packet.begin(), packet.end());
    packet = std::move(outer);
  }
  EXPECT_THAT(decode(packet, packet.size(), Mode::ip), EndsWith("more tunnels"));
  Bytes tags(14 + 4 * 1000);
  for (std::size_t at = 12; at + 4 <= tags.size(); at += 4) put16(tags, at, ethertype::vlan);
  EXPECT_LT(decoded(tags).size(), 200u);
}

TEST(Decode, NamesOfDnsDoNotTurnInCircles) {
  Bytes udp = udp_of(12 + 6, 0);
  put16(udp, 2, 53);
  udp[8 + 5] = 1;              // a question
  put16(udp, 8 + 12, 0xc00c);  // whose name points to itself
  EXPECT_THAT(decoded(frame_of("10.0.0.1", "10.0.0.2", protocol::udp, udp)), EndsWith("too short"));
  put16(udp, 8 + 12, 0xc0ff);  // or forward
  EXPECT_THAT(decoded(frame_of("10.0.0.1", "10.0.0.2", protocol::udp, udp)), EndsWith("too short"));
}

TEST(Decode, ShowsTheLinkHeader) {
  const Bytes frame = frame_of("fd00::1", "fd00::2", 59, {});
  EXPECT_EQ(decode_link(frame, frame.size()),
            "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype IPv6 (0x86dd), length 54: ");
  EXPECT_EQ(decoded(frame), "IP6 fd00::1 > fd00::2: no next header");
  EXPECT_EQ(decode_link({}, 10), "length 10: ");
}

// No beginning of any packet, and no single wrong byte, leads outside the bytes that are there.
TEST(Decode, SurvivesTruncatedAndChangedPackets) {
  for (const Bytes& good : {frame_of("10.0.0.1", "10.0.0.2", protocol::tcp, tcp_of(Bytes(8))),
                            frame_of("fd00::1", "fd00::2", 0, Bytes(40))}) {
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (const std::uint8_t value : Bytes{0x00, 0x01, 0x7f, 0xff}) {
        Bytes changed = good;
        changed[at] = value;
        EXPECT_FALSE(decoded(changed).empty());
      }
    }
  }
}

}  // namespace
}  // namespace memif::tool
