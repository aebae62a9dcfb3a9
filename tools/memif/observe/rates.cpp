#include "observe/rates.hpp"

#include <algorithm>
#include <utility>

namespace memif::tool {
namespace {

// A counter never goes back, but what is read is another program's word.
double per_second(std::uint64_t before, std::uint64_t now, double seconds) {
  return now > before ? static_cast<double>(now - before) / seconds : 0;
}

void add(QueueRates& to, const RxTotals& before, const RxTotals& now, double seconds) {
  to.rx_packets = per_second(before.packets, now.packets, seconds);
  to.rx_bits = 8 * per_second(before.bytes, now.bytes, seconds);
  to.dropped_descriptor = per_second(before.dropped_descriptor, now.dropped_descriptor, seconds);
  to.dropped_long = per_second(before.dropped_long, now.dropped_long, seconds);
  to.dropped_oversize = per_second(before.dropped_oversize, now.dropped_oversize, seconds);
  to.interrupts = per_second(before.interrupts, now.interrupts, seconds);
  to.sleeps = per_second(before.sleeps, now.sleeps, seconds);
}

void add(QueueRates& to, const TxTotals& before, const TxTotals& now, double seconds) {
  to.tx_packets = per_second(before.packets, now.packets, seconds);
  to.tx_bits = 8 * per_second(before.bytes, now.bytes, seconds);
  to.ring_full = per_second(before.ring_full, now.ring_full, seconds);
  to.dropped_buffer = per_second(before.dropped_buffer, now.dropped_buffer, seconds);
  to.rejected = per_second(before.rejected, now.rejected, seconds);
}

}  // namespace

std::vector<std::vector<QueueRates>> RateMeter::measure(const std::vector<ObservedInterface>& seen, Time now) {
  std::vector<std::vector<QueueRates>> result;
  std::map<Key, Look> looks;
  for (const ObservedInterface& one : seen) {
    const Key key{one.program.pid, one.socket, one.id, one.role, one.started};
    std::vector<QueueRates>& rates = result.emplace_back();
    const auto last = last_.find(key);
    const bool same = last != last_.end() && last->second.rx.size() == one.rx.size() &&
                      last->second.tx.size() == one.tx.size() && last->second.time < now;
    if (same) {
      const Look& before = last->second;
      const double seconds = std::chrono::duration<double>(now - before.time).count();
      rates.resize(std::max(one.rx.size(), one.tx.size()));
      for (std::size_t i = 0; i < one.rx.size(); ++i) add(rates[i], before.rx[i].totals, one.rx[i].totals, seconds);
      for (std::size_t i = 0; i < one.tx.size(); ++i) add(rates[i], before.tx[i].totals, one.tx[i].totals, seconds);
    }
    looks.insert_or_assign(key, Look{now, one.rx, one.tx});
  }
  last_ = std::move(looks);
  return result;
}

}  // namespace memif::tool
