#include "perf/traffic.hpp"

#include <gtest/gtest.h>
#include <set>

#include "common/command.hpp"
#include "perf/packet.hpp"

namespace memif::tool {
namespace {

FlowPlan plan(const char* source = "198.18.0.1", const char* destination = "198.19.0.1") {
  return {
      .source = {parse_mac_range("02:00:00:00:00:01"), parse_address_range(source), parse_port_range("9")},
      .destination = {parse_mac_range("02:00:00:00:00:02"), parse_address_range(destination), parse_port_range("9")}};
}

// "SOURCE:PORT DESTINATION:PORT" of each flow of a traffic of one size.
std::vector<std::string> flows(const PerfTraffic& traffic) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < traffic.flows(); ++i) {
    Bytes packet = traffic.packet(0);
    std::copy_n(traffic.headers(0, i), traffic.mark_at(), packet.begin());
    const auto ip = parse_ip(parse_ethernet(packet)->payload, packet.size() - 14);
    const auto ports = parse_ports(*ip);
    texts.push_back(to_string(ip->source) + ":" + std::to_string(ports->source) + " " + to_string(ip->destination) +
                    ":" + std::to_string(ports->destination));
  }
  return texts;
}

TEST(PerfTraffic, IsValidEthernetIpv4Udp) {
  for (const std::size_t size : {64u, 1500u, 9000u}) {
    const PerfTraffic traffic(plan(), {size});
    const Bytes& packet = traffic.packet(0);
    ASSERT_EQ(packet.size(), size);
    const auto frame = parse_ethernet(packet);
    ASSERT_TRUE(frame);
    EXPECT_EQ(to_string(frame->source), "02:00:00:00:00:01");
    EXPECT_EQ(to_string(frame->destination), "02:00:00:00:00:02");
    const auto ip = parse_ip(frame->payload, size - 14);
    ASSERT_TRUE(ip);
    EXPECT_EQ(ip->protocol, protocol::udp);
    EXPECT_EQ(ip->payload_size, size - 34);
    EXPECT_EQ(get16(ip->payload, 4), size - 34);
    EXPECT_EQ(get16(ip->payload, 6), 0);
    EXPECT_EQ(find_mark(packet, Mode::ethernet), traffic.mark_at());
  }
}

TEST(PerfTraffic, HasNoEthernetInIpMode) {
  FlowPlan flows = plan();
  flows.mode = Mode::ip;
  const PerfTraffic traffic(flows, {64});
  EXPECT_TRUE(parse_ip(traffic.packet(0), 64));
  EXPECT_EQ(find_mark(traffic.packet(0), Mode::ip), traffic.mark_at());
}

TEST(PerfTraffic, TagsLieBeforeTheIpHeader) {
  FlowPlan flows = plan();
  flows.vlans = {100, 7};
  const PerfTraffic traffic(flows, {72});
  const Bytes& packet = traffic.packet(0);
  EXPECT_EQ(get32(packet, 12), 0x88a80064u);
  EXPECT_EQ(get32(packet, 16), 0x81000007u);
  EXPECT_TRUE(parse_ip(View(packet).subspan(22), 50));
  EXPECT_EQ(find_mark(packet, Mode::ethernet), traffic.mark_at());
  EXPECT_THROW(PerfTraffic(flows, {71}), UsageError);
}

TEST(PerfTraffic, SumsOfIpv6CoverAllButTheMark) {
  const PerfTraffic traffic(plan("fd00::1", "fd00::2"), {1001});
  ASSERT_TRUE(traffic.has_checksums());
  Bytes packet = traffic.packet(0);
  const PerfMark mark{3, 77, 0x123456789abcdef};
  mark.write(packet.data() + traffic.mark_at());
  const View written = View(packet).subspan(traffic.mark_at(), PerfMark::size);
  put16(packet, traffic.mark_at() - 2, checksum(written, get16(packet, traffic.mark_at() - 2)));
  const auto ip = parse_ip(View(packet).subspan(14), 1001 - 14);
  ASSERT_TRUE(ip);
  EXPECT_EQ(checksum(ip->payload, sum_pseudo_header(ip->source, ip->destination, protocol::udp, ip->payload_size)), 0);
}

TEST(PerfTraffic, RefusesSizesThatCannotHoldTheMarkOrAreTooLong) {
  EXPECT_THROW(PerfTraffic(plan(), {63}), UsageError);
  EXPECT_THROW(PerfTraffic(plan(), {65550}), UsageError);
  EXPECT_NO_THROW(PerfTraffic(plan(), {65549}));
  EXPECT_THROW(PerfTraffic(plan("fd00::1", "fd00::2"), {83}), UsageError);
  EXPECT_NO_THROW(PerfTraffic(plan("fd00::1", "fd00::2"), {84, 65589}));
}

TEST(PerfFlows, AMeshHasEachWithEach) {
  FlowPlan mesh = plan("10.0.0.1-10.0.0.3", "10.1.0.1-10.1.0.2");
  mesh.source.ports = parse_port_range("10-11");
  const auto all = flows(PerfTraffic(mesh, {64}));
  EXPECT_EQ(all.size(), 12u);
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), 12u);
  EXPECT_EQ(all[0], "10.0.0.1:10 10.1.0.1:9");
  EXPECT_EQ(all[1], "10.0.0.2:10 10.1.0.1:9");
  EXPECT_EQ(all[11], "10.0.0.3:11 10.1.0.2:9");
  mesh.flows = 5;
  EXPECT_EQ(flows(PerfTraffic(mesh, {64})), std::vector(all.begin(), all.begin() + 5));
}

TEST(PerfFlows, PairsGoInStep) {
  FlowPlan pairs = plan("10.0.0.1-10.0.0.3", "10.1.0.1-10.1.0.2");
  pairs.pattern = FlowPattern::pairs;
  EXPECT_EQ(flows(PerfTraffic(pairs, {64})),
            (std::vector<std::string>{"10.0.0.1:9 10.1.0.1:9", "10.0.0.2:9 10.1.0.2:9", "10.0.0.3:9 10.1.0.1:9"}));
}

TEST(PerfFlows, RandomOnesAreTheSeeds) {
  FlowPlan random = plan("10.0.0.0/16", "10.1.0.0/16");
  random.pattern = FlowPattern::random;
  random.flows = 1000;
  const auto first = flows(PerfTraffic(random, {64}));
  EXPECT_EQ(flows(PerfTraffic(random, {64})), first);
  EXPECT_GT(std::set(first.begin(), first.end()).size(), 990u);
  random.seed = 2;
  EXPECT_NE(flows(PerfTraffic(random, {64})), first);
}

TEST(PerfFlows, HostsHaveMacsOfTheirOwn) {
  FlowPlan hosts = plan("10.0.0.1-10.0.0.4");
  hosts.source.macs = parse_mac_range("02:00:00:00:01:00-02:00:00:00:01:01");
  const PerfTraffic traffic(hosts, {64});
  ASSERT_EQ(traffic.flows(), 4u);
  for (const std::size_t flow : {0u, 1u, 2u, 3u}) EXPECT_EQ(traffic.headers(0, flow)[11], flow % 2);
}

TEST(PerfFlows, TooManyAreRefused) {
  EXPECT_THROW(PerfTraffic(plan("10.0.0.0/8"), {64}), UsageError);
  EXPECT_THROW(PerfTraffic(plan("fd00::/16", "fd01::/16"), {84}), UsageError);
  FlowPlan many = plan("10.0.0.0/8");
  many.flows = std::uint64_t{1} << 20;
  EXPECT_THROW(PerfTraffic(many, {64, 65}), UsageError);  // of each size
}

TEST(PerfFlows, TheWayBackSwapsTheEnds) {
  const PerfTraffic traffic(reversed(plan()), {64});
  EXPECT_EQ(flows(traffic).front(), "198.19.0.1:9 198.18.0.1:9");
  EXPECT_EQ(to_string(parse_ethernet(traffic.packet(0))->destination), "02:00:00:00:00:01");
}

}  // namespace
}  // namespace memif::tool
