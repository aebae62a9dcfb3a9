// memif perf's search for throughput (RFC 2544, section 26): the highest rate at which no more than so much is lost,
// and the longest burst that is taken without a pause.
#pragma once

#include <array>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "perf/report.hpp"
#include "perf/trial.hpp"

namespace memif::tool {

struct ThroughputGoal {
  const char* name = "ndr";  // no drop rate; "pdr": partial drop rate
  double max_loss_percent = 0;
};

struct ThroughputPlan {
  std::vector<ThroughputGoal> goals{};  // in the order of their losses
  bool bursts = false;                  // the longest one, too
  std::array<FlowPlan, 2> flows{};
  std::vector<std::string> sizes{};  // each as --size has it
  // The highest rates to try of packets of a mean size, packets a second; 0: none.
  std::function<std::array<double, 2>(double mean_size)> rates{};
  std::size_t burst = 32;  // packets sent at once
  Clock::duration time{};  // of a trial
  double resolution = 0.01;
  unsigned tries = 3;
};

// A trial, without the latency of each interval and the like.
struct ThroughputTrial {
  double offered_pps = 0;  // of all directions
  double seconds = 0;
  PerfSums total{};
  std::optional<double> loss_percent{};  // of the worst direction
  LatencySummary latency{};
  bool passed = false;
  bool taken = true;  // the peer took all that was offered
};

struct ThroughputResult {
  ThroughputGoal goal;
  std::string size;
  double mean_size = 0;                   // bytes
  std::optional<ThroughputTrial> best{};  // of those that passed
  bool limited = false;                   // --rate let it go no higher
  std::vector<ThroughputTrial> trials{};
};

struct BurstResult {
  std::string size;
  std::uint64_t packets = 0;
  bool limited = false;  // longer ones would take longer than a trial
};

struct ThroughputReport {
  PerfTest test = PerfTest::round_trip;
  std::vector<ThroughputResult> searches{};
  std::vector<BurstResult> bursts{};
};

class Throughput {
 public:
  // Called after each trial and each search.
  struct Listener {
    std::function<void(const ThroughputTrial&)> on_trial;
    std::function<void(const ThroughputResult&)> on_result;
    std::function<void(const BurstResult&)> on_burst;
  };

  Throughput(Session& session, const PerfBench& bench, const ThroughputPlan& plan, const Listener& listener,
             std::uint64_t first_trial);

  // False if a signal ended it or the link went. Throws Failure if nothing of what it sends arrives.
  bool run();
  const ThroughputReport& report() const noexcept { return report_; }

 private:
  bool search_size(const std::string& size);
  bool search(const ThroughputGoal& goal, const std::string& size);
  bool search_burst(const std::string& size);
  bool first_trial();
  ThroughputTrial try_rate(double rate, const ThroughputGoal& goal);
  bool try_burst(std::uint64_t packets);
  PerfResult run_trial(const std::array<PerfPace, 2>& pace, Clock::duration time);
  bool ended() const { return lost_link_ || session_.stopped(); }
  unsigned directions() const noexcept { return bench_.test == PerfTest::both_ways ? 2 : 1; }

  Session& session_;
  const PerfBench& bench_;
  const ThroughputPlan& plan_;
  const Listener& listener_;
  std::uint64_t trials_;
  std::vector<PerfTraffic> traffic_;  // of the present size, by direction
  std::array<double, 2> most_{};      // of the present size, packets a second
  double ratio_ = 1;                  // of the second direction's rate to the first's
  double guess_ = 0;                  // of the first direction's rate
  ThroughputReport report_;
  bool lost_link_ = false;
};

// Whether a trial at these rates has reached the goal.
bool passes(const PerfResult& result, const std::array<double, 2>& rates, const ThroughputGoal& goal,
            double resolution);

// What of it misses a limit, each in words.
std::vector<std::string> missed(const PerfLimits& limits, const ThroughputReport& report);

void print_text(const ThroughputTrial& trial);
void print_text(const ThroughputResult& result, PerfTest test);
void print_text(const BurstResult& result);
nlohmann::ordered_json to_json(const ThroughputReport& report);

}  // namespace memif::tool
