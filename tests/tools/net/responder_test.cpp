#include "net/responder.hpp"

#include <gtest/gtest.h>

#include "capture/describe.hpp"

namespace memif::tool {
namespace {

const Mac asker{0x02, 0, 0, 0, 0, 0x0a};
const Mac own{0x02, 0, 0, 0, 0, 0x0b};

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

class ResponderTest : public testing::Test {
 protected:
  // The whole answer as it would be sent; empty if there is none.
  static Bytes answer(const Responder& responder, const Bytes& packet) {
    const auto answer = responder.answer(View(packet).first(std::min(packet.size(), head_size)), packet.size());
    if (!answer) return {};
    Bytes whole = packet;
    whole.resize(answer->size);
    std::copy_n(answer->head.begin(), answer->rewritten, whole.begin());
    return whole;
  }

  static Bytes echo(const char* from, const char* to, std::size_t size) {
    Bytes frame;
    append_ethernet(frame, own, asker, ip(from).v6() ? ethertype::ipv6 : ethertype::ipv4);
    append_echo(frame, ip(from), ip(to), {true, 1, 2}, Bytes(size, 0x5a));
    return frame;
  }

  Responder responder_{Mode::ethernet, own, {ip("192.168.7.2"), ip("fd00::2")}};
};

TEST_F(ResponderTest, AnswersArp) {
  Bytes request;
  append_ethernet(request, broadcast_mac, asker, ethertype::arp);
  append_arp(request, {Arp::request, asker, ip("192.168.7.1"), Mac{}, ip("192.168.7.2")});
  const Bytes reply = answer(responder_, request);
  const auto frame = parse_ethernet(reply);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->destination, asker);
  const auto arp = parse_arp(frame->payload);
  ASSERT_TRUE(arp);
  EXPECT_EQ(arp->operation, Arp::reply);
  EXPECT_EQ(arp->sender_mac, own);
  EXPECT_EQ(arp->sender, ip("192.168.7.2"));
}

TEST_F(ResponderTest, IgnoresArpForOthers) {
  Bytes request;
  append_ethernet(request, broadcast_mac, asker, ethertype::arp);
  append_arp(request, {Arp::request, asker, ip("192.168.7.1"), Mac{}, ip("192.168.7.3")});
  EXPECT_TRUE(answer(responder_, request).empty());
}

TEST_F(ResponderTest, EchoesOfAllSizesHaveRightChecksums) {
  for (const auto& [from, to] : {std::pair("192.168.7.1", "192.168.7.2"), std::pair("fd00::1", "fd00::2")}) {
    for (const std::size_t size : {0u, 1u, 56u, 86u, 87u, 9000u}) {
      const Bytes reply = answer(responder_, echo(from, to, size));
      const auto frame = parse_ethernet(reply);
      ASSERT_TRUE(frame);
      EXPECT_EQ(frame->destination, asker);
      EXPECT_EQ(frame->source, own);
      const auto packet = parse_ip(frame->payload, frame->payload.size());
      ASSERT_TRUE(packet) << to << ' ' << size;
      EXPECT_EQ(packet->source, ip(to));
      EXPECT_EQ(packet->destination, ip(from));
      EXPECT_EQ(packet->hop_limit, 64);
      EXPECT_TRUE(icmp_checksum_right(*packet)) << to << ' ' << size;
      EXPECT_EQ(parse_icmp(*packet)->type, packet->source.v6() ? icmp::v6_echo_reply : icmp::echo_reply);
    }
  }
}

TEST_F(ResponderTest, WhatIsWrongWithARequestStaysVisible) {
  Bytes request = echo("192.168.7.1", "192.168.7.2", 500);
  request.back() ^= 1;
  const Bytes reply = answer(responder_, request);
  ASSERT_FALSE(reply.empty());
  const auto packet = parse_ip(View(reply).subspan(14), reply.size() - 14);
  EXPECT_FALSE(icmp_checksum_right(*packet));
}

TEST_F(ResponderTest, AnswersSolicitationsAlsoOfUnaddressedHosts) {
  for (const char* from : {"fe80::1", "::"}) {
    Bytes request;
    const IpAddress group = ip("fd00::2").solicited_node();
    append_ethernet(request, group.multicast_mac(), asker, ethertype::ipv6);
    const bool probe = ip(from).unspecified();
    append_neighbor(request, ip(from), group, {true, ip("fd00::2"), probe ? std::nullopt : std::optional<Mac>(asker)});
    const Bytes reply = answer(responder_, request);
    const auto frame = parse_ethernet(reply);
    ASSERT_TRUE(frame) << from;
    EXPECT_EQ(frame->destination, probe ? ip("ff02::1").multicast_mac() : asker);
    const auto packet = parse_ip(frame->payload, frame->payload.size());
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->destination, probe ? ip("ff02::1") : ip(from));
    const auto neighbor = parse_neighbor(*packet);
    ASSERT_TRUE(neighbor);
    EXPECT_EQ(neighbor->link_address, own);
  }
}

TEST_F(ResponderTest, IpModeHasNoEthernetHeader) {
  const Responder responder(Mode::ip, own, {ip("192.168.7.2")});
  Bytes request = echo("192.168.7.1", "192.168.7.2", 56);
  request.erase(request.begin(), request.begin() + 14);
  const Bytes reply = answer(responder, request);
  const auto packet = parse_ip(reply, reply.size());
  ASSERT_TRUE(packet);
  EXPECT_TRUE(icmp_checksum_right(*packet));
}

// No beginning of any packet, and no single wrong byte, leads outside the bytes that are there.
TEST_F(ResponderTest, SurvivesTruncatedAndChangedPackets) {
  for (const Bytes& good : {echo("192.168.7.1", "192.168.7.2", 8), echo("fd00::1", "fd00::2", 8)}) {
    for (std::size_t length = 0; length <= good.size(); ++length) {
      const Bytes part(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
      answer(responder_, part);
      reflect(part, part.size(), Mode::ethernet, Reflect::addresses);
    }
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (const std::uint8_t value : Bytes{0x00, 0x01, 0x7f, 0xff}) {
        Bytes changed = good;
        changed[at] = value;
        answer(responder_, changed);
      }
    }
  }
}

TEST(Reflect, SwapsMacsOnly) {
  Bytes frame;
  append_ethernet(frame, own, asker, 0x88b5);
  frame.resize(64, 0x11);
  const Answer answer = reflect(frame, frame.size(), Mode::ethernet, Reflect::macs);
  Bytes expected;
  append_ethernet(expected, asker, own, 0x88b5);
  expected.resize(64, 0x11);
  EXPECT_EQ(answer.size, 64u);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), answer.head.begin()));
}

TEST(Reflect, SwapsAddressesAndPortsWithoutTouchingChecksums) {
  Bytes packet;
  append_ip(packet, ip("10.0.0.1"), ip("10.0.0.2"), protocol::udp, 64, 8);
  const Bytes udp{0x00, 0x35, 0x12, 0x34, 0x00, 0x08, 0xab, 0xcd};
  packet.insert(packet.end(), udp.begin(), udp.end());
  const Answer answer = reflect(packet, packet.size(), Mode::ip, Reflect::addresses);
  const View sent = View(answer.head).first(answer.rewritten);
  const auto parsed = parse_ip(sent, sent.size());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->source, ip("10.0.0.2"));
  EXPECT_EQ(parsed->hop_limit, 64);
  EXPECT_EQ(parse_ports(*parsed)->source, 0x1234);
  EXPECT_EQ(get16(parsed->payload, 6), 0xabcd);
}

TEST(HexDump, ShowsBytesAndCharacters) {
  EXPECT_EQ(hex_dump(Bytes{'a', 0x00, 'z'}, true), "\t0x0000:  6100 7a                                  a.z");
  EXPECT_EQ(hex_dump(Bytes{'a', 0x00, 'z'}, false), "\t0x0000:  6100 7a");
}

}  // namespace
}  // namespace memif::tool
