#include "bridge/switch.hpp"

#include <cstring>

namespace memif::tool {

bool Switch::run(BridgePort::Time now) {
  bool busy = false;
  for (std::size_t from = 0; from < ports_.size(); ++from) {
    BridgePort& port = *ports_[from];
    if (ports_.size() == 2) {
      busy = port.relay(*ports_[1 - from]) || busy;
    } else if (const Frames frames = port.receive(); !frames.empty()) {
      distribute(from, frames, now);
      busy = true;
    }
    port.release();
  }
  return busy;
}

// Addresses are copied before they are looked at: a peer may write to its frame meanwhile.
void Switch::distribute(std::size_t from, Frames frames, BridgePort::Time now) {
  outgoing_.resize(ports_.size());
  struct {
    Mac destination, source;
  } header;
  for (const Frame& frame : frames) {
    std::memcpy(&header, frame.data(), sizeof header);
    table_.learn(header.source, from, now);
    if (const auto to = table_.find(header.destination, now)) {
      if (*to != from) outgoing_[*to].push_back(frame);
    } else {
      for (std::size_t port = 0; port < ports_.size(); ++port)
        if (port != from) outgoing_[port].push_back(frame);
    }
  }
  std::size_t total = 0;
  for (const auto& some : outgoing_) total += some.size();
  for (std::size_t port = 0; port < ports_.size(); ++port) {
    const std::size_t count = outgoing_[port].size();
    if (count == frames.size() && count == total)
      ports_[from]->pass(frames, *ports_[port]);
    else if (count != 0)
      ports_[port]->send(outgoing_[port]);
    outgoing_[port].clear();
  }
}

}  // namespace memif::tool
