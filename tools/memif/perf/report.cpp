#include "perf/report.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/output.hpp"
#include "common/units.hpp"

namespace memif::tool {
namespace {

using Json = nlohmann::ordered_json;

double per_second(std::uint64_t count, double seconds) { return static_cast<double>(count) / std::max(seconds, 1e-9); }

std::string with_prefix(double value, const char* unit) {
  const auto [scaled, prefix] = value >= 1e9   ? std::pair(value / 1e9, "G")
                                : value >= 1e6 ? std::pair(value / 1e6, "M")
                                : value >= 1e3 ? std::pair(value / 1e3, "k")
                                               : std::pair(value, "");
  return fmt::format("{:.{}f} {}{}", scaled, scaled < 10 ? 3 : scaled < 100 ? 2 : 1, prefix, unit);
}

std::string rates(std::uint64_t packets, std::uint64_t bytes, double seconds) {
  return with_prefix(per_second(packets, seconds), "pps") + ", " + with_prefix(per_second(bytes * 8, seconds), "bit/s");
}

// The direction that a limit on the rate is about: what arrives, where that is what is measured.
bool arrival_counts(const PerfResult& result) { return std::strcmp(result.test, "round_trip") != 0; }

Json json_sums(const PerfSums& sums, double seconds) {
  return {{"sent", sums.sent},
          {"sent_bytes", sums.sent_bytes},
          {"received", sums.received},
          {"received_bytes", sums.received_bytes},
          {"foreign", sums.foreign},
          {"out_of_order", sums.out_of_order},
          {"duplicates", sums.duplicates},
          {"sent_pps", per_second(sums.sent, seconds)},
          {"sent_bps", per_second(sums.sent_bytes * 8, seconds)},
          {"received_pps", per_second(sums.received, seconds)},
          {"received_bps", per_second(sums.received_bytes * 8, seconds)}};
}

Json json_latency(const PerfResult& result) {
  const LatencyStats& stats = result.latency;
  if (stats.count() == 0) return {};
  const auto us = [](double ns) { return std::round(ns) / 1000; };
  const auto percentile = [&](double percent) { return us(stats.percentile(percent)); };
  return {{"kind", std::strcmp(result.test, "round_trip") == 0 ? "round_trip" : "one_way"},
          {"samples", stats.count()},
          {"min_us", us(stats.min())},
          {"mean_us", us(stats.mean())},
          {"p50_us", percentile(50)},
          {"p90_us", percentile(90)},
          {"p99_us", percentile(99)},
          {"p99_9_us", percentile(99.9)},
          {"p99_99_us", percentile(99.99)},
          {"max_us", us(stats.max())}};
}

}  // namespace

PerfSums& PerfSums::operator+=(const PerfSums& other) {
  sent += other.sent;
  sent_bytes += other.sent_bytes;
  received += other.received;
  received_bytes += other.received_bytes;
  arrived += other.arrived;
  foreign += other.foreign;
  out_of_order += other.out_of_order;
  duplicates += other.duplicates;
  return *this;
}

PerfSums operator-(const PerfSums& now, const PerfSums& before) {
  return {.sent = now.sent - before.sent,
          .sent_bytes = now.sent_bytes - before.sent_bytes,
          .received = now.received - before.received,
          .received_bytes = now.received_bytes - before.received_bytes,
          .arrived = now.arrived - before.arrived,
          .foreign = now.foreign - before.foreign,
          .out_of_order = now.out_of_order - before.out_of_order,
          .duplicates = now.duplicates - before.duplicates};
}

std::optional<std::uint64_t> PerfResult::lost() const {
  if (!expected) return {};
  return *expected - std::min(*expected, total.arrived);
}

std::optional<double> PerfResult::loss_percent() const {
  if (!expected || *expected == 0) return {};
  return 100 * static_cast<double>(*lost()) / static_cast<double>(*expected);
}

std::string describe(const PerfInterval& interval) {
  const double seconds = interval.to - interval.from;
  std::string line = fmt::format("{:5.1f}-{:.1f} s", interval.from, interval.to);
  const PerfSums& moved = interval.moved;
  if (moved.sent != 0) line += "   sent " + rates(moved.sent, moved.sent_bytes, seconds);
  if (moved.received != 0) line += "   received " + rates(moved.received, moved.received_bytes, seconds);
  if (moved.sent == 0 && moved.received == 0) line += "   nothing";
  return line;
}

void print_text(const PerfResult& result) {
  const PerfSums& total = result.total;
  print_line(fmt::format("--- {:.2f} s ---", result.seconds));
  if (total.sent != 0)
    print_line(
        fmt::format("sent      {} packets: {}", total.sent, rates(total.sent, total.sent_bytes, result.seconds)));
  if (total.received != 0 || total.sent == 0)
    print_line(fmt::format("received  {} packets: {}{}{}{}", total.received,
                           rates(total.received, total.received_bytes, result.seconds),
                           total.foreign != 0 ? fmt::format("; {} not of memif perf", total.foreign) : "",
                           total.out_of_order != 0 ? fmt::format("; {} out of order", total.out_of_order) : "",
                           total.duplicates != 0 ? fmt::format("; {} duplicates", total.duplicates) : ""));
  if (result.lost())
    print_line(fmt::format("lost      {} packets, {:.4g} %", *result.lost(), result.loss_percent().value_or(0)));
  const LatencyStats& stats = result.latency;
  if (stats.count() == 0) return;
  const auto us = [&stats](double percent) { return stats.percentile(percent) / 1000; };
  print_line(fmt::format("latency   {}: p50 {:.2f}  p90 {:.2f}  p99 {:.2f}  p99.9 {:.2f}  max {:.2f} us",
                         std::strcmp(result.test, "round_trip") == 0 ? "round trip" : "one way", us(50), us(90), us(99),
                         us(99.9), stats.max() / 1000));
}

void print_json(const PerfResult& result) {
  Json json{{"schema", "memif-perf/1"}, {"test", result.test}, {"seconds", result.seconds}};
  json.update(json_sums(result.total, result.seconds));
  json["lost"] = result.lost() ? Json(*result.lost()) : Json();
  json["loss_percent"] = result.loss_percent() ? Json(*result.loss_percent()) : Json();
  json["latency"] = json_latency(result);
  json["queues"] = Json::array();
  for (const PerfQueue& queue : result.queues) {
    Json entry{{"queue", queue.queue}, {"does", queue.does}};
    entry.update(json_sums(queue.total, result.seconds));
    json["queues"].push_back(std::move(entry));
  }
  json["intervals"] = Json::array();
  for (const PerfInterval& interval : result.intervals) {
    Json entry{{"from_s", interval.from}, {"to_s", interval.to}};
    entry.update(json_sums(interval.moved, interval.to - interval.from));
    json["intervals"].push_back(std::move(entry));
  }
  print_json(json);
}

std::vector<std::string> missed(const PerfLimits& limits, const PerfResult& result) {
  std::vector<std::string> failures;
  const bool arrival = arrival_counts(result);
  const PerfSums& total = result.total;
  const double pps = per_second(arrival ? total.received : total.sent, result.seconds);
  const double bps = 8 * per_second(arrival ? total.received_bytes : total.sent_bytes, result.seconds);
  const char* what = arrival ? "received" : "sent";
  if (limits.min_pps && pps < *limits.min_pps)
    failures.push_back(fmt::format("{} {}, less than {}", what, with_prefix(pps, "pps"), limits.min_rate_text));
  if (limits.min_bps && bps < *limits.min_bps)
    failures.push_back(fmt::format("{} {}, less than {}", what, with_prefix(bps, "bit/s"), limits.min_rate_text));
  if (limits.max_loss_percent) {
    const auto loss = result.loss_percent();
    if (!loss)
      failures.emplace_back("the loss is not known: no packet of memif perf arrived");
    else if (*loss > *limits.max_loss_percent)
      failures.push_back(fmt::format("{:.4g} % lost, more than {}", *loss, limits.max_loss_text));
  }
  return failures;
}

}  // namespace memif::tool
