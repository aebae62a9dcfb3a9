#include "perf/throughput.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "common/command.hpp"
#include "perf/search.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

constexpr double first_burst = 64;  // packets
constexpr auto grace = 200ms;       // after a trial's time, for a sender that is late

// By direction.
const PerfTally& tally_of(const PerfResult& result, unsigned direction) noexcept {
  return result.directions.empty() ? result.all : result.directions[direction];
}

std::size_t directions_of(const PerfResult& result) noexcept {
  return std::max<std::size_t>(result.directions.size(), 1);
}

// The peer took what was offered, but for a hiccup.
bool took_all(const PerfResult& result, const std::array<double, 2>& rates, double resolution) noexcept {
  for (unsigned i = 0; i < directions_of(result); ++i)
    if (per_second_of(tally_of(result, i).total.sent, result.seconds) < rates[i] * (1 - resolution)) return false;
  return true;
}

}  // namespace

bool passes(const PerfResult& result, const std::array<double, 2>& rates, const ThroughputGoal& goal,
            double resolution) {
  const auto loss = worst_loss(result);
  return loss && *loss <= goal.max_loss_percent && took_all(result, rates, resolution);
}

Throughput::Throughput(Session& session, const PerfBench& bench, const ThroughputPlan& plan, const Listener& listener,
                       std::uint64_t first_trial)
    : session_(session), bench_(bench), plan_(plan), listener_(listener), trials_(first_trial) {
  report_.test = bench.test;
}

bool Throughput::run() {
  return std::all_of(plan_.sizes.begin(), plan_.sizes.end(),
                     [this](const std::string& size) { return search_size(size); });
}

bool Throughput::search_size(const std::string& size) {
  traffic_.clear();
  for (const FlowPlan& flows : plan_.flows) traffic_.emplace_back(flows, parse_size_mix(size));
  most_ = plan_.rates(traffic_.front().mean_size());
  ratio_ = most_[0] > 0 && most_[1] > 0 ? most_[1] / most_[0] : 1;
  if (!first_trial()) return false;
  return std::all_of(plan_.goals.begin(), plan_.goals.end(),
                     [&](const ThroughputGoal& goal) { return search(goal, size); }) &&
         (!plan_.bursts || search_burst(size));
}

// As fast as may be: what arrives of that is the guess to begin with.
bool Throughput::first_trial() {
  const PerfResult result = run_trial(
      {PerfPace{.burst = plan_.burst, .rate = most_[0]}, PerfPace{.burst = plan_.burst, .rate = most_[1]}}, plan_.time);
  if (ended()) return false;
  guess_ = std::numeric_limits<double>::infinity();
  for (unsigned i = 0; i < directions(); ++i)
    guess_ = std::min(guess_, per_second_of(tally_of(result, i).total.arrived, result.seconds) / (i == 0 ? 1 : ratio_));
  if (guess_ > 0) return true;
  throw Failure(exit_failed, bench_.test == PerfTest::round_trip
                                 ? "nothing comes back: a search needs a peer that returns packets, or two ports"
                                 : "nothing arrives at the other port");
}

bool Throughput::search(const ThroughputGoal& goal, const std::string& size) {
  ThroughputResult& found = report_.searches.emplace_back();
  found.goal = goal;
  found.size = size;
  found.mean_size = traffic_.front().mean_size();
  PeakSearch peak({.guess = guess_,
                   .most = most_[0] > 0 ? most_[0] : std::numeric_limits<double>::infinity(),
                   .resolution = plan_.resolution,
                   .tries = plan_.tries});
  while (const auto rate = peak.next()) {
    const ThroughputTrial trial = try_rate(*rate, goal);
    if (ended()) return false;
    peak.note(trial.passed);
    if (trial.passed && (!found.best || found.best->offered_pps < trial.offered_pps)) found.best = trial;
    found.trials.push_back(trial);
    if (listener_.on_trial) listener_.on_trial(trial);
  }
  found.limited = peak.limited();
  guess_ = peak.found().value_or(guess_);  // of the next goal, which allows more
  if (listener_.on_result) listener_.on_result(found);
  return true;
}

// As many packets as belong to the trial's time. A sender that was held up may be late with the last ones, and has the
// rate that comes of that.
ThroughputTrial Throughput::try_rate(double rate, const ThroughputGoal& goal) {
  const std::array<double, 2> rates{rate, rate * ratio_};
  const double seconds = std::chrono::duration<double>(plan_.time).count();
  std::array<PerfPace, 2> pace;
  for (std::size_t i = 0; i < pace.size(); ++i)
    pace[i] = {
        .burst = plan_.burst, .rate = rates[i], .limit = static_cast<std::uint64_t>(std::ceil(rates[i] * seconds))};
  const PerfResult result = run_trial(pace, plan_.time + grace);
  return {.offered_pps = rates[0] + (directions() == 2 ? rates[1] : 0),
          .seconds = result.seconds,
          .total = result.all.total,
          .loss_percent = worst_loss(result),
          .latency = result.all.latency.summary(),
          .passed = passes(result, rates, goal, plan_.resolution),
          .taken = took_all(result, rates, plan_.resolution)};
}

// The longest burst that may be tried is what the peer can take in a trial's time anyway.
bool Throughput::search_burst(const std::string& size) {
  const double seconds = std::chrono::duration<double>(plan_.time).count();
  PeakSearch peak({.guess = first_burst,
                   .most = std::max(std::floor(guess_ * seconds), first_burst),
                   .resolution = plan_.resolution,
                   .tries = plan_.tries});
  while (const auto packets = peak.next()) {
    const bool passed = try_burst(static_cast<std::uint64_t>(*packets));
    if (ended()) return false;
    peak.note(passed);
  }
  report_.bursts.push_back({size, static_cast<std::uint64_t>(peak.found().value_or(0)), peak.limited()});
  if (listener_.on_burst) listener_.on_burst(report_.bursts.back());
  return true;
}

// Whether so many are taken at once, in each direction: the ring always had room, and nothing was lost.
bool Throughput::try_burst(std::uint64_t packets) {
  const PerfPace pace{.burst = plan_.burst, .limit = packets};
  const PerfResult result = run_trial({pace, pace}, plan_.time);
  const PerfSums& total = result.all.total;
  return total.stalls == 0 && total.sent == packets * directions() && total.arrived == total.sent;
}

PerfResult Throughput::run_trial(const std::array<PerfPace, 2>& pace, Clock::duration time) {
  PerfTrialPlan plan{.pace = pace, .time = time, .number = trials_++};
  for (std::size_t i = 0; i < traffic_.size(); ++i) plan.traffic[i] = &traffic_[i];
  PerfTrial trial(session_, bench_, plan);
  PerfResult result = trial.run();
  lost_link_ = trial.lost_link();
  return result;
}

}  // namespace memif::tool
