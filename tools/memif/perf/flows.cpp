#include "perf/flows.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <random>
#include <utility>

#include "common/command.hpp"

namespace memif::tool {
namespace {

constexpr std::uint64_t most_flows = std::uint64_t{1} << 20, usual_random_flows = 65536;
constexpr std::size_t udp_header = 8;

std::uint64_t product(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? std::numeric_limits<std::uint64_t>::max() : result;
}

// How many different flows the pattern has.
std::uint64_t all_flows(const FlowPlan& plan) noexcept {
  const PerfHosts &source = plan.source, &destination = plan.destination;
  if (plan.pattern == FlowPattern::pairs)
    return std::max({source.count(), destination.count(), source.ports.count, destination.ports.count});
  return product(product(source.count(), destination.count()), product(source.ports.count, destination.ports.count));
}

Flow mesh(const FlowPlan& plan, std::uint64_t number) noexcept {
  const auto take = [&number](std::uint64_t count) {
    const std::uint64_t rest = number % count;
    number /= count;
    return rest;
  };
  Flow flow{};
  flow.source = take(plan.source.count());
  flow.destination = take(plan.destination.count());
  flow.source_port = take(plan.source.ports.count);
  flow.destination_port = take(plan.destination.ports.count);
  return flow;
}

Flow pair(const FlowPlan& plan, std::uint64_t number) noexcept {
  return {number % plan.source.count(), number % plan.destination.count(), number % plan.source.ports.count,
          number % plan.destination.ports.count};
}

// Not by std::uniform_int_distribution, whose numbers differ from library to library: a seed gives the same flows
// everywhere.
Flow draw(const FlowPlan& plan, std::mt19937_64& random) {
  Flow flow{};
  flow.source = random() % plan.source.count();
  flow.destination = random() % plan.destination.count();
  flow.source_port = random() % plan.source.ports.count;
  flow.destination_port = random() % plan.destination.ports.count;
  return flow;
}

std::uint64_t wanted_flows(const FlowPlan& plan) {
  const std::uint64_t all = all_flows(plan);
  const bool random = plan.pattern == FlowPattern::random;
  std::uint64_t wanted = plan.flows != 0 ? plan.flows : random ? std::min(all, usual_random_flows) : all;
  if (!random) wanted = std::min(wanted, all);
  if (wanted <= most_flows) return wanted;
  throw UsageError(fmt::format("{} flows are more than {}: have fewer addresses and ports, or say --flows",
                               wanted == std::numeric_limits<std::uint64_t>::max() ? "2^64" : fmt::to_string(wanted),
                               most_flows));
}

IpAddress address_of(const PerfHosts& hosts, std::uint64_t number) noexcept {
  return address_at(hosts.addresses, number % hosts.addresses.count);
}

Mac mac_of(const PerfHosts& hosts, std::uint64_t number) noexcept {
  return mac_at(hosts.macs, number % hosts.macs.count);
}

Bytes make_link(const FlowPlan& plan, const Flow& flow) {
  Bytes out;
  if (plan.mode != Mode::ethernet) return out;
  append_ethernet(out, mac_of(plan.destination, flow.destination), mac_of(plan.source, flow.source),
                  plan.source.addresses.size == 16 ? ethertype::ipv6 : ethertype::ipv4);
  insert_vlans(out, plan.vlans);
  return out;
}

}  // namespace

std::uint64_t PerfHosts::count() const noexcept { return std::max(macs.count, addresses.count); }

FlowPlan reversed(const FlowPlan& plan) {
  FlowPlan back = plan;
  std::swap(back.source, back.destination);
  return back;
}

std::vector<Flow> list_flows(const FlowPlan& plan) {
  std::vector<Flow> flows(wanted_flows(plan));
  std::mt19937_64 random(plan.seed);
  for (std::size_t i = 0; i < flows.size(); ++i)
    flows[i] = plan.pattern == FlowPattern::random  ? draw(plan, random)
               : plan.pattern == FlowPattern::pairs ? pair(plan, i)
                                                    : mesh(plan, i);
  return flows;
}

std::size_t headers_size(const FlowPlan& plan) noexcept {
  const std::size_t link = plan.mode == Mode::ethernet ? ethernet_header + vlan_tag * plan.vlans.size() : 0;
  return link + (plan.source.addresses.size == 16 ? ipv6_header : ipv4_header) + udp_header;
}

Bytes make_headers(const FlowPlan& plan, const Flow& flow, std::size_t size) {
  const std::size_t payload = size - headers_size(plan) + udp_header;
  const IpAddress source = address_of(plan.source, flow.source);
  const IpAddress destination = address_of(plan.destination, flow.destination);
  Bytes out = make_link(plan, flow);
  append_ip(out, source, destination, protocol::udp, 64, payload);
  const std::size_t at = out.size();
  out.resize(at + udp_header);
  const std::span<std::uint8_t> udp = std::span(out).subspan(at);
  plan.source.ports.write(udp, flow.source_port);
  plan.destination.ports.write(udp.subspan(2), flow.destination_port);
  put16(udp, 4, static_cast<std::uint16_t>(payload));
  if (source.v6())
    put16(udp, 6,
          static_cast<std::uint16_t>(
              ~checksum(udp.first(6), sum_pseudo_header(source, destination, protocol::udp, payload))));
  return out;
}

}  // namespace memif::tool
