// What memif bridge joins: something that frames come from and go to.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <memif/context.hpp>

#include "bridge/word.hpp"

namespace memif::tool {

// An Ethernet frame without its checksum. What it points to may change while we look: it can be a peer's memory.
using Frame = std::span<const std::byte>;
using Frames = std::span<const Frame>;

inline constexpr std::size_t bridge_burst = 256;  // frames, at most, that a port gives at once

struct BridgeCounters {
  std::uint64_t rx_packets = 0, rx_bytes = 0;
  std::uint64_t tx_packets = 0, tx_bytes = 0;
  std::uint64_t tx_exchanged = 0;  // of tx_packets, those that were not copied
  std::uint64_t rx_dropped = 0;    // frames that cannot be: too short, too long, a bad descriptor
  std::uint64_t tx_dropped = 0;    // frames for this port that it had no room for, or that came while it was down
};

// One thread uses a port. No call blocks: what a port cannot take at once is dropped and counted, so that no port waits
// for another.
class BridgePort {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit BridgePort(std::string name) : name_(std::move(name)) {}
  virtual ~BridgePort() = default;
  BridgePort(const BridgePort&) = delete;
  BridgePort& operator=(const BridgePort&) = delete;

  const std::string& name() const noexcept { return name_; }
  const BridgeCounters& counters() const noexcept { return counters_; }

  // A burst. The frames are there until release(), which must come before the next receive().
  Frames receive();
  virtual void release() {}

  void send(Frames frames);

  // Receives a burst and sends all of it to `to`, without making frames of it where that saves copies; true if there
  // was any. Then release().
  virtual bool relay(BridgePort& to);

  // Sends to `to` what receive() returned last, all of it. The frames are not to be used after that.
  virtual void pass(Frames frames, BridgePort& to) { to.send(frames); }

  // Writes what the port has kept back. Throws Failure.
  virtual void finish() {}

  virtual bool up() const { return true; }

  // Up, and with room for a frame, if the peer makes any within a second.
  virtual bool ready() { return up(); }

  // What is known of why it is not; may be empty.
  virtual std::string why_down() const { return {}; }

  // Before a sleep: adds the descriptors that a frame makes readable. False if one is there already. Then disarm().
  virtual bool arm(std::vector<pollfd>& descriptors) = 0;
  virtual void disarm() {}

  // The port wants to be asked again at this time, whatever its descriptors say.
  virtual Time due() const { return Time::max(); }

  // How long to look for frames before a sleep.
  virtual std::chrono::nanoseconds spin() const { return std::chrono::nanoseconds(0); }

 protected:
  // Appends frames to `frames`, at most bridge_burst.
  virtual void take(std::vector<Frame>& frames) = 0;

  // Sends each frame or drops it; calls sent() for those that went.
  virtual void put(Frames frames) = 0;

  void sent(const Frame& frame) noexcept {
    ++counters_.tx_packets;
    counters_.tx_bytes += frame.size();
  }

  BridgeCounters counters_;

 private:
  std::string name_;
  std::vector<Frame> frames_;
};

// A port as described. `context` is for memif ports. Throws Failure. Each kind of port has a source file with its
// open_port(), and its words in word.cpp.
std::unique_ptr<BridgePort> open_port(const PortOptions& options, Context& context);
std::unique_ptr<BridgePort> open_port(const TapOptions& options);
std::unique_ptr<BridgePort> open_port(const XdpOptions& options);
std::unique_ptr<BridgePort> open_port(const PcapOptions& options);

}  // namespace memif::tool
