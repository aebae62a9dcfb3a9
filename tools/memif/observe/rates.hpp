// Rates: the difference between two looks at the same queue.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <memif/observe.hpp>

namespace memif::tool {

// One queue pair of one interface: how much its counters grew in a second.
struct QueueRates {
  RxCounts<double> rx;
  TxCounts<double> tx;

  double packets() const noexcept { return rx.packets + tx.packets; }
  double bits() const noexcept { return 8 * (rx.bytes + tx.bytes); }
  double drops() const noexcept;  // also what found no room
};

// Remembers the last look. An interface that was not there then, or was made anew since, has no rates yet.
class RateMeter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // By interface, by queue; as many queues as the direction has that has more. Empty for a new interface.
  std::vector<std::vector<QueueRates>> measure(const std::vector<ObservedInterface>& seen, Time now);

 private:
  using Key = std::tuple<pid_t, std::string, std::uint32_t, Role, std::chrono::system_clock::time_point>;
  struct Look {
    Time time;
    std::vector<ObservedRx> rx;
    std::vector<ObservedTx> tx;
  };
  std::map<Key, Look> last_;
};

}  // namespace memif::tool
