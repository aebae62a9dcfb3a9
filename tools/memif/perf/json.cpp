// The JSON of memif perf.
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/output.hpp"
#include "perf/report.hpp"

namespace memif::tool {
namespace {

using Json = nlohmann::ordered_json;

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

Json json_sums(const PerfSums& sums, double seconds) {
  return {{"sent", sums.sent},
          {"sent_bytes", sums.sent_bytes},
          {"received", sums.received},
          {"received_bytes", sums.received_bytes},
          {"foreign", sums.foreign},
          {"out_of_order", sums.out_of_order},
          {"duplicates", sums.duplicates},
          {"stalls", sums.stalls},
          {"sent_pps", per_second_of(sums.sent, seconds)},
          {"sent_bps", per_second_of(sums.sent_bytes * 8, seconds)},
          {"received_pps", per_second_of(sums.received, seconds)},
          {"received_bps", per_second_of(sums.received_bytes * 8, seconds)}};
}

Json json_interval(const PerfInterval& interval, PerfTest test) {
  Json entry{{"from_s", interval.from}, {"to_s", interval.to}};
  entry.update(json_sums(interval.moved, interval.to - interval.from));
  entry["lost"] = or_null(interval.lost);
  entry["latency"] = to_json(interval.latency, test);
  return entry;
}

// From the middle to the longest, closer and closer.
Json json_distribution(const LatencyStats& latency) {
  static constexpr double percents[] = {0,  10, 20,   30,   40,   50,    60,    70,    80,     90, 95,
                                        98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 99.999, 100};
  Json points = Json::array();
  for (const double percent : percents)
    if (latency.count() != 0)
      points.push_back({{"percent", percent}, {"us", std::round(latency.percentile(percent)) / 1000}});
  return points;
}

// Totals, loss and latency.
Json json_totals(const PerfTally& tally, PerfTest test, double seconds) {
  Json json = json_sums(tally.total, seconds);
  json["lost"] = or_null(tally.lost());
  json["loss_percent"] = or_null(tally.loss_percent());
  json["latency"] = to_json(tally.latency.summary(), test);
  return json;
}

Json json_intervals(const PerfTally& tally, PerfTest test) {
  Json entries = Json::array();
  for (const PerfInterval& interval : tally.intervals) entries.push_back(json_interval(interval, test));
  return entries;
}

Json json_queue(const PerfQueue& queue, double seconds) {
  Json entry{{"queue", queue.queue}, {"does", queue.does}};
  entry.update(json_sums(queue.total, seconds));
  entry["cpu_s"] = static_cast<double>(queue.cpu_ns) / 1e9;
  entry["cpu_ns_per_packet"] = or_null(queue.cpu_ns_per_packet());
  return entry;
}

}  // namespace

Json to_json(const LatencySummary& latency, PerfTest test) {
  if (latency.samples == 0) return {};
  const auto us = [](double ns) { return std::round(ns) / 1000; };
  return {{"kind", test == PerfTest::round_trip ? "round_trip" : "one_way"},
          {"samples", latency.samples},
          {"min_us", us(latency.min)},
          {"mean_us", us(latency.mean)},
          {"p50_us", us(latency.p50)},
          {"p90_us", us(latency.p90)},
          {"p99_us", us(latency.p99)},
          {"p99_9_us", us(latency.p99_9)},
          {"p99_99_us", us(latency.p99_99)},
          {"max_us", us(latency.max)}};
}

Json to_json(const Port& port) {
  const InterfaceConfig& config = port.config();
  const InterfaceInfo info = port.interface().info();
  const auto ring = info.tx.empty() ? RingInfo{} : info.tx.front();
  const char* mode = config.mode == Mode::ethernet ? "ethernet" : config.mode == Mode::ip ? "ip" : "punt";
  return {{"socket", printable(config.socket)},
          {"id", config.id},
          {"role", config.role == Role::client ? "client" : "server"},
          {"mode", mode},
          {"rx_queues", port.rx_queues()},
          {"tx_queues", port.tx_queues()},
          {"ring_size", ring.ring_size},
          {"buffer_size", ring.buffer_size},
          {"peer", info.peer ? Json(printable(info.peer->app_name)) : Json()}};
}

Json to_json(const PerfResult& result) {
  Json json{{"schema", "memif-perf/1"}, {"test", name_of(result.test)}, {"seconds", result.seconds}};
  json.update(json_totals(result.all, result.test, result.seconds));
  json["latency_distribution"] = json_distribution(result.all.latency);
  json["directions"] = Json::array();
  for (const PerfTally& tally : result.directions) {
    Json entry = json_totals(tally, result.test, result.seconds);
    entry["intervals"] = json_intervals(tally, result.test);
    json["directions"].push_back(std::move(entry));
  }
  json["queues"] = Json::array();
  for (const PerfQueue& queue : result.queues) json["queues"].push_back(json_queue(queue, result.seconds));
  json["intervals"] = json_intervals(result.all, result.test);
  return json;
}

}  // namespace memif::tool
