// One measurement of memif perf: packets are sent, received and counted for a while.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "common/session.hpp"
#include "perf/threads.hpp"

namespace memif::tool {

// What stays the same for all measurements of a command. Everything must outlive them.
struct PerfBench {
  PerfTest test = PerfTest::one_way;
  bool partner_reflects = false;  // of two ports, the second
  std::vector<Port*> ports;
  std::array<const PerfNeighbor*, 2> neighbors{};  // of each port; or none
  std::vector<unsigned> cpus;
  bool must_return = false;  // packets of a round trip: else a peer may keep them

  bool passive() const noexcept { return test == PerfTest::receive || test == PerfTest::reflect; }
};

struct PerfTrialPlan {
  std::array<const PerfTraffic*, 2> traffic{};  // by direction
  std::array<PerfPace, 2> pace{};
  Clock::duration time{}, every{};  // every: of the intervals; 0: none
  std::uint64_t number = 0;         // differs from the last trial's
  std::function<void(const PerfInterval&)> on_interval{};
};

class PerfTrial {
 public:
  PerfTrial(Session& session, const PerfBench& bench, const PerfTrialPlan& plan);

  // Until the time is over, a signal comes, or the link goes.
  PerfResult run();
  bool lost_link() const noexcept { return lost_link_; }

 private:
  struct Direction {
    PerfTally tally;
    PerfSums before;                  // this interval
    std::int64_t missing_before = 0;  // of what should have come before this interval
    std::uint64_t expected = 0;       // as the receivers know
  };

  void add_threads();
  PerfPlace place(unsigned port, PerfRole role) const;
  bool running();
  bool all_sent() const;
  void measure();
  double elapsed() const;
  double sending_seconds() const;
  void add_interval(bool last);
  PerfInterval take_interval(unsigned number, const PerfArrivals& arrivals, bool last);
  void drain();
  void finish();
  std::optional<std::uint64_t> expected(const Direction& direction) const;
  PerfSums sums() const;

  Session& session_;
  const PerfBench& bench_;
  const PerfTrialPlan& plan_;
  PerfThreads threads_;
  PerfResult result_;
  std::vector<Direction> directions_;
  Clock::time_point began_{};
  double from_ = 0;  // seconds: of this interval
  bool lost_link_ = false;
};

}  // namespace memif::tool
