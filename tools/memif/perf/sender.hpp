// The sending half of a thread of memif perf.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include <memif/memif.hpp>

#include "perf/counts.hpp"
#include "perf/packet.hpp"
#include "perf/traffic.hpp"

namespace memif::tool {

struct PerfPace {
  std::size_t burst = 32;   // packets
  double rate = 0;          // packets a second; 0: as many as the peer takes
  std::uint64_t limit = 0;  // packets in all; 0: none
};

// One thread.
class PerfSender {
 public:
  // What it is given must outlive it.
  PerfSender(TxQueue& tx, const PerfTraffic& traffic, const PerfPace& pace, std::uint16_t series, PerfCounts& counts);

  void begin() noexcept { began_ = std::chrono::steady_clock::now(); }  // now the rate counts
  std::size_t send();  // what is due, as far as the peer has room: how many packets went
  bool finished() const noexcept { return sequence_ == limit_; }
  bool drained() const noexcept { return tx_.room() == tx_.ring_size(); }  // the peer has taken everything
  std::chrono::nanoseconds pause() const noexcept;                         // between packets
  std::uint64_t last_ns() const noexcept { return last_ns_; }              // when the last burst was made

 private:
  std::size_t due() const;
  std::size_t fill(std::size_t wanted, std::uint64_t now, TxBurst& burst);
  void write_next(const Packet& packet, const PerfMark& mark);
  void write_alike(std::span<Buffer> buffers) const noexcept;
  void write_flows(std::span<Buffer> buffers, std::size_t timed, std::uint64_t now) noexcept;
  void write_head(void* to, const PerfMark& mark) const noexcept;
  void advance() noexcept;

  TxQueue& tx_;
  const PerfTraffic& traffic_;
  const PerfPace pace_;
  const std::uint64_t limit_;
  const std::uint16_t series_;
  const std::size_t mark_at_;
  PerfCounts& counts_;
  std::vector<Buffer> out_;
  std::vector<Bytes> packets_;  // this thread's own copy, with its marks
  bool one_size_, plain_;       // plain: all headers are alike, and complete
  std::chrono::steady_clock::time_point began_;
  std::size_t turn_ = 0, flow_ = 0;  // of the next packet
  std::uint64_t sequence_ = 0;       // of the next packet
  std::uint64_t bursts_ = 0;
  std::uint64_t last_ns_ = 0;
};

}  // namespace memif::tool
