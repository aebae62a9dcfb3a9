// What memif bridge does with frames: two ports are a wire, more are a learning switch.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <vector>

#include "bridge/port.hpp"
#include "bridge/table.hpp"

namespace memif::tool {

class Switch {
 public:
  using Ports = std::vector<std::unique_ptr<BridgePort>>;

  // `ports` must outlive the switch, and may still be empty.
  Switch(const Ports& ports, std::chrono::nanoseconds age) : ports_(ports), table_(age) {}

  // Moves a burst of every port that has one; true if there was any.
  bool run(BridgePort::Time now);

  const MacTable& table() const noexcept { return table_; }

 private:
  void distribute(std::size_t from, Frames frames, BridgePort::Time now);

  const Ports& ports_;
  MacTable table_;
  std::vector<std::vector<Frame>> outgoing_;  // of one burst, by port
};

}  // namespace memif::tool
