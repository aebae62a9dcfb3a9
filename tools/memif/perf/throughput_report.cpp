// What memif perf's search has found, in words and as JSON.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/output.hpp"
#include "perf/throughput.hpp"

namespace memif::tool {
namespace {

using Json = nlohmann::ordered_json;

double received_pps(const ThroughputTrial& trial) { return per_second_of(trial.total.arrived, trial.seconds); }

std::string loss_of(const ThroughputTrial& trial) {
  return trial.loss_percent ? fmt::format("lost {:.4g} %", *trial.loss_percent) : "nothing arrived";
}

std::string goal_name(const ThroughputGoal& goal) {
  return goal.max_loss_percent == 0 ? "NDR" : fmt::format("PDR {:.4g} %", goal.max_loss_percent);
}

Json json_trial(const ThroughputTrial& trial, PerfTest test) {
  return {{"offered_pps", trial.offered_pps},
          {"seconds", trial.seconds},
          {"sent", trial.total.sent},
          {"received", trial.total.arrived},
          {"out_of_order", trial.total.out_of_order},
          {"duplicates", trial.total.duplicates},
          {"stalls", trial.total.stalls},
          {"sent_pps", per_second_of(trial.total.sent, trial.seconds)},
          {"received_pps", received_pps(trial)},
          {"received_bps", 8 * per_second_of(trial.total.received_bytes, trial.seconds)},
          {"loss_percent", trial.loss_percent ? Json(*trial.loss_percent) : Json()},
          {"latency", to_json(trial.latency, test)},
          {"taken", trial.taken},
          {"passed", trial.passed}};
}

Json json_search(const ThroughputResult& result, PerfTest test) {
  Json json{{"size", result.size},       {"mean_size", result.mean_size},
            {"goal", result.goal.name},  {"max_loss_percent", result.goal.max_loss_percent},
            {"limited", result.limited}, {"best", result.best ? json_trial(*result.best, test) : Json()},
            {"trials", Json::array()}};
  for (const ThroughputTrial& trial : result.trials) json["trials"].push_back(json_trial(trial, test));
  return json;
}

}  // namespace

void print_text(const ThroughputTrial& trial) {
  print_line(fmt::format("  {:<12} sent {:<12} {:<18} p99 {:.1f} us  {}", with_prefix(trial.offered_pps, "pps"),
                         with_prefix(per_second_of(trial.total.sent, trial.seconds), "pps"), loss_of(trial),
                         trial.latency.p99 / 1000,
                         trial.passed  ? "passed"
                         : trial.taken ? "failed"
                                       : "failed: the peer took less"));
  flush_output();  // somebody may be looking through a pipe
}

void print_text(const ThroughputResult& result, PerfTest test) {
  const std::string what = fmt::format("{} bytes, {}:", result.size, goal_name(result.goal));
  if (!result.best) {
    print_line(fmt::format("{} no rate", what));
    return;
  }
  const ThroughputTrial& best = *result.best;
  print_line(fmt::format("{} {}{}, {}; lost {:.4g} %; {} p50 {:.1f} p99 {:.1f} max {:.1f} us", what,
                         result.limited ? "at least " : "", with_prefix(received_pps(best), "pps"),
                         with_prefix(8 * per_second_of(best.total.received_bytes, best.seconds), "bit/s"),
                         best.loss_percent.value_or(0), test == PerfTest::round_trip ? "round trip" : "one way",
                         best.latency.p50 / 1000, best.latency.p99 / 1000, best.latency.max / 1000));
  flush_output();
}

void print_text(const BurstResult& result) {
  print_line(fmt::format("{} bytes, back to back: {}{} packets", result.size, result.limited ? "at least " : "",
                         result.packets));
  flush_output();
}

std::vector<std::string> missed(const PerfLimits& limits, const ThroughputReport& report) {
  std::vector<std::string> failures;
  for (const ThroughputResult& result : report.searches) {
    const double pps = result.best ? received_pps(*result.best) : 0;
    const double bps = result.best ? 8 * per_second_of(result.best->total.received_bytes, result.best->seconds) : 0;
    if ((limits.min_pps && pps < *limits.min_pps) || (limits.min_bps && bps < *limits.min_bps))
      failures.push_back(fmt::format("{} bytes, {}: {}, less than {}", result.size, goal_name(result.goal),
                                     limits.min_pps ? with_prefix(pps, "pps") : with_prefix(bps, "bit/s"),
                                     limits.min_rate_text));
  }
  return failures;
}

Json to_json(const ThroughputReport& report) {
  Json json{{"schema", "memif-perf/1"}, {"test", name_of(report.test)}, {"searches", Json::array()}};
  for (const ThroughputResult& result : report.searches) json["searches"].push_back(json_search(result, report.test));
  json["bursts"] = Json::array();
  for (const BurstResult& burst : report.bursts)
    json["bursts"].push_back({{"size", burst.size}, {"packets", burst.packets}, {"limited", burst.limited}});
  return json;
}

}  // namespace memif::tool
