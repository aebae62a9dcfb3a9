// The receiving half of a thread of memif perf.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include <memif/memif.hpp>

#include "common/latency.hpp"
#include "perf/counts.hpp"
#include "perf/neighbor.hpp"
#include "perf/packet.hpp"
#include "perf/sequence.hpp"

namespace memif::tool {

// One thread.
class PerfReceiver {
 public:
  struct Settings {
    Mode mode = Mode::ethernet;
    std::size_t mark_at = 0;                 // where it looks first
    PerfSeries series{};                     // those that it counts
    const PerfNeighbor* neighbor = nullptr;  // answers on `tx` what is no packet of memif perf; may be missing
    TxQueue* tx = nullptr;
  };

  // What it is given must outlive it.
  PerfReceiver(const Settings& settings, PerfCounts& counts);

  std::size_t receive(RxQueue& from);  // how many packets came

  // Since the last call.
  LatencyStats take_latency() noexcept { return std::exchange(latency_, {}); }
  // By series, one more than the greatest number so far: so many packets should have come.
  std::map<std::uint16_t, std::uint64_t> expected() const;

 private:
  bool inspect(const Packet& packet, std::uint64_t now);
  bool inspect_foreign(const Packet& packet, std::uint64_t now);
  bool account(const PerfMark& mark, std::uint64_t now);
  bool find(std::uint16_t series);
  void answer(View head, std::size_t size);

  const Settings settings_;
  std::size_t mark_at_;
  PerfCounts& counts_;
  std::vector<Buffer> in_;
  LatencyStats latency_;
  std::map<std::uint16_t, PerfSequence> sequences_;
  PerfSequence* sequence_ = nullptr;  // of series_, if it was seen
  std::uint16_t series_ = 0;
};

}  // namespace memif::tool
