// What a thread of memif perf counts, and sums of that.
#pragma once

#include <cstdint>

#include <memif/stats.hpp>

namespace memif::tool {

// The values are counters, which one thread writes and any reads, or plain numbers.
template <class Value>
struct PerfCountsOf {
  Value sent{}, sent_bytes{}, received{}, received_bytes{};
  Value arrived{};       // of those received, different packets of memif perf
  Value foreign{};       // of those received, without a mark of memif perf, or with that of another measurement
  Value out_of_order{};  // of those received, behind one with a higher number
  Value duplicates{};    // of those received, come before
  Value stalls{};        // times that the ring had no room for all that was due

  template <class Each>
  static void for_each(Each each) {
    for (const auto member : {&PerfCountsOf::sent, &PerfCountsOf::sent_bytes, &PerfCountsOf::received,
                              &PerfCountsOf::received_bytes, &PerfCountsOf::arrived, &PerfCountsOf::foreign,
                              &PerfCountsOf::out_of_order, &PerfCountsOf::duplicates, &PerfCountsOf::stalls})
      each(member);
  }
};

using PerfCounts = PerfCountsOf<Counter>;

struct PerfSums : PerfCountsOf<std::uint64_t> {
  PerfSums& operator+=(const PerfSums& other);
};
PerfSums operator-(const PerfSums& now, const PerfSums& before);
PerfSums sums_of(const PerfCounts& counts);

}  // namespace memif::tool
