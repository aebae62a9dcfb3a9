#include "observe/rates.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace memif::tool {
namespace {

// A counter never goes back, but what is read is another program's word.
double per_second(std::uint64_t before, std::uint64_t now, double seconds) {
  return now > before ? static_cast<double>(now - before) / seconds : 0;
}

template <template <class> class Counts>
Counts<double> per_second(const Counts<std::uint64_t>& before, const Counts<std::uint64_t>& now, double seconds) {
  Counts<double> rates;
  for (std::size_t i = 0; i < std::size(rates.table); ++i) {
    const auto value = before.table[i].value;
    rates.*rates.table[i].value = per_second(before.*value, now.*value, seconds);
  }
  return rates;
}

template <class Rates>
double drops_of(const Rates& rates) {
  double drops = 0;
  for (const auto& counter : Rates::table)
    if (counter.kind == CounterKind::drop || counter.kind == CounterKind::no_room) drops += rates.*counter.value;
  return drops;
}

}  // namespace

double QueueRates::drops() const noexcept { return drops_of(rx) + drops_of(tx); }

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
      for (std::size_t i = 0; i < one.rx.size(); ++i)
        rates[i].rx = per_second(before.rx[i].totals, one.rx[i].totals, seconds);
      for (std::size_t i = 0; i < one.tx.size(); ++i)
        rates[i].tx = per_second(before.tx[i].totals, one.tx[i].totals, seconds);
    }
    looks.insert_or_assign(key, Look{now, one.rx, one.tx});
  }
  last_ = std::move(looks);
  return result;
}

}  // namespace memif::tool
