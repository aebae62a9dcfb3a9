#include "perf/traffic.hpp"

#include <fmt/format.h>
#include <map>
#include <numeric>
#include <set>

#include "common/command.hpp"
#include "perf/packet.hpp"

namespace memif::tool {
namespace {

constexpr std::size_t most_headers = std::size_t{1} << 20;  // flows of all sizes: below 100 MB

std::size_t longest_packet(const FlowPlan& plan) noexcept {
  const bool v6 = plan.source.addresses.size == 16;
  const std::size_t link = headers_size(plan) - (v6 ? ipv6_header : ipv4_header) - 8;
  return link + (v6 ? ipv6_header + longest_payload_v6 : ipv4_header + longest_payload_v4);
}

}  // namespace

PerfTraffic::PerfTraffic(const FlowPlan& plan, const std::vector<std::size_t>& sizes)
    : mark_at_(headers_size(plan)), longest_(longest_packet(plan)), has_checksums_(plan.source.addresses.size == 16) {
  const std::vector<Flow> flows = list_flows(plan);
  flows_ = flows.size();
  const std::size_t different = std::set<std::size_t>(sizes.begin(), sizes.end()).size();
  if (different * flows_ > most_headers)
    throw UsageError(fmt::format("{} flows of {} sizes are more than {} together: say --flows or fewer sizes", flows_,
                                 different, most_headers));
  std::map<std::size_t, std::size_t> table_of_size;
  for (const std::size_t size : sizes) {
    check_size(size);
    const auto [at, added] = table_of_size.try_emplace(size, tables_.size());
    if (added) add_table(plan, flows, size);
    table_of_.push_back(at->second);
    Bytes packet(size);
    std::copy_n(headers(table_of_.size() - 1, 0), mark_at_, packet.begin());
    packets_.push_back(std::move(packet));
  }
}

void PerfTraffic::check_size(std::size_t size) const {
  const std::size_t least = mark_at_ + PerfMark::size;
  if (size < least || size > longest_)
    throw UsageError(fmt::format("--size: {} is not within {} and {} bytes", size, least, longest_));
}

void PerfTraffic::add_table(const FlowPlan& plan, const std::vector<Flow>& flows, std::size_t size) {
  Bytes& table = tables_.emplace_back();
  table.reserve(flows.size() * mark_at_);
  for (const Flow& flow : flows) {
    const Bytes one = make_headers(plan, flow, size);
    table.insert(table.end(), one.begin(), one.end());
  }
}

double PerfTraffic::mean_size() const noexcept {
  const auto add = [](std::size_t sum, const Bytes& packet) { return sum + packet.size(); };
  return static_cast<double>(std::accumulate(packets_.begin(), packets_.end(), std::size_t{0}, add)) /
         static_cast<double>(packets_.size());
}

}  // namespace memif::tool
