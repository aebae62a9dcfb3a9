#include "perf/result.hpp"

#include <algorithm>

namespace memif::tool {

const char* name_of(PerfTest test) noexcept {
  switch (test) {
    case PerfTest::one_way:
      return "one_way";
    case PerfTest::both_ways:
      return "both_ways";
    case PerfTest::round_trip:
      return "round_trip";
    case PerfTest::receive:
      return "receive";
    case PerfTest::reflect:
      return "reflect";
  }
  return "";
}

PerfSums& PerfSums::operator+=(const PerfSums& other) {
  for_each([&](auto member) { this->*member += other.*member; });
  return *this;
}

PerfSums operator-(const PerfSums& now, const PerfSums& before) {
  PerfSums difference;
  PerfSums::for_each([&](auto member) { difference.*member = now.*member - before.*member; });
  return difference;
}

PerfSums sums_of(const PerfCounts& counts) {
  return {{counts.sent.get(), counts.sent_bytes.get(), counts.received.get(), counts.received_bytes.get(),
           counts.arrived.get(), counts.foreign.get(), counts.out_of_order.get(), counts.duplicates.get(),
           counts.stalls.get()}};
}

std::optional<std::uint64_t> PerfTally::lost() const {
  if (!expected) return {};
  return *expected - std::min(*expected, total.arrived);
}

std::optional<double> PerfTally::loss_percent() const {
  if (!expected || *expected == 0) return {};
  return 100 * static_cast<double>(*lost()) / static_cast<double>(*expected);
}

std::optional<double> PerfQueue::cpu_ns_per_packet() const {
  const std::uint64_t packets = total.sent + total.received;
  return packets == 0 ? std::nullopt : std::optional(static_cast<double>(cpu_ns) / static_cast<double>(packets));
}

double per_second_of(std::uint64_t count, double seconds) noexcept {
  return static_cast<double>(count) / std::max(seconds, 1e-9);
}

std::optional<double> worst_loss(const PerfResult& result) {
  std::optional<double> worst = result.all.loss_percent();
  for (const PerfTally& tally : result.directions)
    worst = worst && tally.loss_percent() ? std::optional(std::max(*worst, *tally.loss_percent())) : std::nullopt;
  return worst;
}

}  // namespace memif::tool
