#include "perf/report.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "common/output.hpp"

namespace memif::tool {
namespace {

// The direction that a limit on the rate is about: what arrives, where that is what is measured.
bool arrival_counts(const PerfResult& result) { return result.test != PerfTest::round_trip; }

std::string count_of(std::uint64_t count, const char* what) {
  return count == 0 ? std::string() : fmt::format("; {} {}", count, what);
}

void print_tally(const PerfTally& tally, PerfTest test, double seconds) {
  const PerfSums& total = tally.total;
  if (total.sent != 0)
    print_line(
        fmt::format("sent      {} packets: {}", total.sent, packet_rates(total.sent, total.sent_bytes, seconds)));
  if (total.received != 0 || total.sent == 0)
    print_line(fmt::format("received  {} packets: {}{}{}{}", total.received,
                           packet_rates(total.received, total.received_bytes, seconds),
                           count_of(total.foreign, "not of memif perf"), count_of(total.out_of_order, "out of order"),
                           count_of(total.duplicates, "duplicates")));
  if (tally.lost())
    print_line(fmt::format("lost      {} packets, {:.4g} %", *tally.lost(), tally.loss_percent().value_or(0)));
  const LatencySummary latency = tally.latency.summary();
  if (latency.samples == 0) return;
  print_line(fmt::format("latency   {}: p50 {:.2f}  p90 {:.2f}  p99 {:.2f}  p99.9 {:.2f}  max {:.2f} us",
                         test == PerfTest::round_trip ? "round trip" : "one way", latency.p50 / 1000,
                         latency.p90 / 1000, latency.p99 / 1000, latency.p99_9 / 1000, latency.max / 1000));
}

// Of threads that do the same, together.
void print_cpu(const std::vector<PerfQueue>& queues) {
  std::map<std::string, PerfQueue> by_work;
  for (const PerfQueue& queue : queues) {
    PerfQueue& sum = by_work[queue.does];
    sum.total += queue.total;
    sum.cpu_ns += queue.cpu_ns;
  }
  std::string line;
  for (const auto& [does, sum] : by_work)
    if (const auto each = sum.cpu_ns_per_packet())
      line += fmt::format("{}{} {:.1f} ns a packet", line.empty() ? "" : ", ", does, *each);
  if (!line.empty()) print_line("CPU       " + line);
}

double pps_of(const PerfResult& result) {
  const PerfSums& total = result.all.total;
  return per_second_of(arrival_counts(result) ? total.received : total.sent, result.seconds);
}

double bps_of(const PerfResult& result) {
  const PerfSums& total = result.all.total;
  return 8 * per_second_of(arrival_counts(result) ? total.received_bytes : total.sent_bytes, result.seconds);
}

}  // namespace

std::string with_prefix(double value, const char* unit) {
  const auto [scaled, prefix] = value >= 1e9   ? std::pair(value / 1e9, "G")
                                : value >= 1e6 ? std::pair(value / 1e6, "M")
                                : value >= 1e3 ? std::pair(value / 1e3, "k")
                                               : std::pair(value, "");
  return fmt::format("{:.{}f} {}{}", scaled, scaled < 10 ? 3 : scaled < 100 ? 2 : 1, prefix, unit);
}

std::string packet_rates(std::uint64_t packets, std::uint64_t bytes, double seconds) {
  return with_prefix(per_second_of(packets, seconds), "pps") + ", " +
         with_prefix(per_second_of(bytes * 8, seconds), "bit/s");
}

std::string describe(const PerfInterval& interval) {
  const double seconds = interval.to - interval.from;
  std::string line = fmt::format("{:5.1f}-{:.1f} s", interval.from, interval.to);
  const PerfSums& moved = interval.moved;
  if (moved.sent != 0) line += "   sent " + packet_rates(moved.sent, moved.sent_bytes, seconds);
  if (moved.received != 0) line += "   received " + packet_rates(moved.received, moved.received_bytes, seconds);
  if (moved.sent == 0 && moved.received == 0) line += "   nothing";
  if (interval.lost.value_or(0) != 0) line += fmt::format("   lost {}", *interval.lost);
  if (interval.latency.samples != 0)
    line += fmt::format("   p50 {:.1f} p99 {:.1f} us", interval.latency.p50 / 1000, interval.latency.p99 / 1000);
  return line;
}

void print_text(const PerfResult& result) {
  print_line(fmt::format("--- {:.2f} s ---", result.seconds));
  for (std::size_t i = 0; i < result.directions.size(); ++i) {
    print_line(i == 0 ? "from the first port to the second" : "from the second port to the first");
    print_tally(result.directions[i], result.test, result.seconds);
  }
  if (result.directions.empty()) print_tally(result.all, result.test, result.seconds);
  print_cpu(result.queues);
}

std::vector<std::string> missed(const PerfLimits& limits, const PerfResult& result) {
  std::vector<std::string> failures;
  const char* what = arrival_counts(result) ? "received" : "sent";
  const double pps = pps_of(result), bps = bps_of(result);
  if (limits.min_pps && pps < *limits.min_pps)
    failures.push_back(fmt::format("{} {}, less than {}", what, with_prefix(pps, "pps"), limits.min_rate_text));
  if (limits.min_bps && bps < *limits.min_bps)
    failures.push_back(fmt::format("{} {}, less than {}", what, with_prefix(bps, "bit/s"), limits.min_rate_text));
  if (!limits.max_loss_percent) return failures;
  const auto loss = worst_loss(result);
  if (!loss)
    failures.emplace_back("the loss is not known: no packet of memif perf arrived");
  else if (*loss > *limits.max_loss_percent)
    failures.push_back(fmt::format("{:.4g} % lost, more than {}", *loss, limits.max_loss_text));
  return failures;
}

}  // namespace memif::tool
