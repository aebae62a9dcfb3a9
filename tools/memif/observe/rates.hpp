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

// One queue pair of one interface: what it received and sent in an interval. Everything is per second but for `used`.
struct QueueRates {
  double rx_packets = 0, rx_bits = 0, tx_packets = 0, tx_bits = 0;
  double dropped_descriptor = 0, dropped_long = 0, dropped_oversize = 0;
  double ring_full = 0, dropped_buffer = 0, rejected = 0;
  double interrupts = 0, sleeps = 0;  // notifications received; times that the receiver slept

  double packets() const noexcept { return rx_packets + tx_packets; }
  double bits() const noexcept { return rx_bits + tx_bits; }
  double drops() const noexcept {
    return dropped_descriptor + dropped_long + dropped_oversize + ring_full + dropped_buffer + rejected;
  }
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
