// The publishing side: an interface's memory file for observers. docs/observing.md.
#pragma once

#include <span>
#include <string>

#include <memif/config.hpp>
#include <memif/stats.hpp>

#include "memory/region.hpp"
#include "observe/published.hpp"

namespace memif::detail {

// Control thread, except the counters, which belong to the queues' threads. Lives as long as its queues.
class Publication {
 public:
  // An Error where memory or descriptors are short.
  static Result<Publication> create(const std::string& app_name, const InterfaceConfig& config);

  // What observers are to see from now on, but for the counters.
  void update(const InterfaceInfo& info);

  // The interface is gone.
  void withdraw() noexcept;

  RxCounters& rx(std::size_t queue) const noexcept;
  TxCounters& tx(std::size_t queue) const noexcept;

 private:
  Publication(Region region, std::uint16_t rx_queues, std::uint16_t tx_queues) noexcept
      : region_(std::move(region)), rx_queues_(rx_queues), tx_queues_(tx_queues), layout_(rx_queues, tx_queues) {}

  published::State& state() const noexcept;
  void put(const published::State& next, std::span<const published::RingState> rings) noexcept;

  Region region_;
  std::uint16_t rx_queues_, tx_queues_;
  published::Layout layout_;
  bool was_connected_ = false;
  std::uint64_t changed_ns_ = 0;
};

}  // namespace memif::detail
