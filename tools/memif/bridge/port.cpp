#include "bridge/port.hpp"

#include <algorithm>

#include "net/codec.hpp"

namespace memif::tool {

Frames BridgePort::receive() {
  frames_.clear();
  take(frames_);
  for (const Frame& frame : frames_) counters_.rx_bytes += frame.size();
  counters_.rx_packets += frames_.size();
  const auto runt = [](const Frame& frame) { return frame.size() < ethernet_header; };
  counters_.rx_dropped += static_cast<std::uint64_t>(std::erase_if(frames_, runt));
  return frames_;
}

bool BridgePort::relay(BridgePort& to) {
  const Frames frames = receive();
  if (!frames.empty()) to.send(frames);
  return !frames.empty();
}

void BridgePort::send(Frames frames) {
  const std::uint64_t before = counters_.tx_packets;
  if (up()) put(frames);
  counters_.tx_dropped += frames.size() - (counters_.tx_packets - before);
}

}  // namespace memif::tool
