// Looking at the packets of another program's live link, as a third process: passively. The program publishes
// (ContextConfig::publish, MEMIF_PUBLISH=1) and knows nothing of it. docs/observing.md, "Packets"
//
// Nothing is written to the program's memory or mapped from it, and nothing makes the program wait. What it has, and
// what its peer has written, is not trusted. Packets that are overwritten before they were read are counted as missed.
//
// A Tap belongs to one thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <memif/error.hpp>
#include <memif/observe.hpp>

namespace memif {

struct TapConfig {
  bool rx = true, tx = true;            // what the program receives, and what it sends
  std::vector<std::uint16_t> queues{};  // these only; empty: all
  std::size_t keep = 65536;             // bytes that are wanted of a packet
};

struct TappedPacket {
  std::span<const std::byte> data;  // the bytes that are kept; valid until the callback returns
  std::uint64_t size = 0;           // of the whole packet
  std::uint16_t queue = 0;
  bool sent = false;  // by the program; else it was, or will be, received by it
};

// Of one direction, over all links and queues.
struct TapCounts {
  std::uint64_t packets = 0;   // handed out
  std::uint64_t missed = 0;    // descriptors that were overwritten too soon: of a packet in parts, each part
  std::uint64_t invalid = 0;   // packets whose descriptors are invalid
  std::uint64_t inferred = 0;  // of `packets`: the ring no longer said how long it was, and its headers did
};

class Tap {
 public:
  // An interface as observe() has returned it. Packets are seen from the first look() on; of later links, all. Errors:
  // the program or the interface has gone (ESRCH), is another user's (EACCES), or is this process (EINVAL).
  static Result<Tap> open(const ObservedInterface& interface, TapConfig config = {});

  Tap(Tap&&) noexcept;
  Tap& operator=(Tap&&) noexcept;
  ~Tap();

  enum class State {
    up,
    down,  // no link at the moment
    gone,  // no more will come: the interface was removed, or the program has ended
  };
  // Calls `take` with each packet that has appeared since the last call: by queue, of each in order. At most a ring
  // full of each, and for 20 ms and the time of a few packets of each queue: what is left comes with the next call, or,
  // where the link has ended and a fifth of a second was too short, is missed. Error: the link's memory cannot be read
  // (Errc::bad_region, EACCES); it says why.
  Result<State> look(const std::function<void(const TappedPacket&)>& take);

  // After how long to look again, so that a small part of the rings has been filled meanwhile: by how many packets
  // came last.
  std::chrono::nanoseconds pause() const noexcept;

  TapCounts rx() const noexcept;
  TapCounts tx() const noexcept;
  std::uint64_t links() const noexcept;  // looked at so far

 private:
  struct Impl;
  explicit Tap(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace memif
