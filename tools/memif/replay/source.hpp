// What memif replay sends: the packets of a capture, as often as asked for, each with the time at which it is due.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capture/feed.hpp"
#include "replay/rewrite.hpp"

namespace memif::tool {

struct ReplayPlan {
  std::string file, packet_rate, bit_rate, source_mac, destination_mac;
  std::vector<std::string> addresses;
  bool topspeed = false;
  std::uint64_t loops = 1;  // 0: forever
};

// When each packet is due, counted from the first: at a rate of packets and of bytes, at once, or as recorded. What was
// captured before its predecessor, by a clock that was set back, was due before it. A time too far away to be counted
// is one in the far future.
class Pace {
 public:
  // Throws UsageError.
  explicit Pace(const ReplayPlan& plan);

  std::chrono::nanoseconds due(CaptureTime time);  // of the next packet, which was captured at `time`
  void passed(std::size_t size);                   // that packet's, before the next
  void next_loop() { first_.reset(); }             // which begins where the latest packet was due

 private:
  double per_packet_ = 0, per_byte_ = 0;  // ns
  double due_ = 0;
  bool recorded_ = false;
  std::optional<std::int64_t> first_;     // of this loop: ns, as captured
  std::uint64_t begin_ = 0, latest_ = 0;  // ns: when this loop began; when the latest packet so far was due
};

class ReplaySource {
 public:
  // Opens the capture. Throws Failure, and UsageError for a plan that cannot be, or packets that `mode` does not carry.
  ReplaySource(const ReplayPlan& plan, Mode mode);

  // Makes sure that there is a packet; false when there are no more, which is finished(), or none yet: fd() becomes
  // readable then if it waits(), else the next call goes on, since many in a row had nothing to send. What cannot be
  // read any further has come to its end as well: see damage(). Throws Failure and UsageError where the constructor
  // could not, since the capture comes through a pipe.
  bool load();
  bool loaded() const noexcept { return loaded_; }
  const Bytes& packet() const noexcept { return packet_; }
  std::chrono::nanoseconds due() const noexcept { return due_; }
  void take() noexcept { loaded_ = false; }       // the packet is done with
  bool waits() const noexcept { return waits_; }  // for what comes through a pipe
  int fd() const noexcept { return feed_.fd(); }

  bool finished() const noexcept { return finished_; }  // nothing comes after packet()
  const std::optional<std::string>& damage() const noexcept { return damage_; }

  std::uint64_t loops() const noexcept { return loops_; }
  std::uint64_t read() const noexcept { return read_; }            // packets
  std::uint64_t empty() const noexcept { return empty_; }          // of those; memif has no such packets
  std::uint64_t shortened() const noexcept { return shortened_; }  // of those; by whoever captured them

  // How much of all is read, 0 to 1; nothing if that cannot be known.
  std::optional<double> part_read() const;

 private:
  void prepare(const CapturedPacket& packet);
  void end_loop();

  const ReplayPlan plan_;
  const Mode mode_;
  Pace pace_;
  CaptureFeed feed_;
  Rewrite rewrite_;
  Bytes packet_;
  std::chrono::nanoseconds due_{0};
  bool loaded_ = false, waits_ = false, finished_ = false;
  std::optional<std::string> damage_;
  std::uint64_t loops_ = 0, loop_packets_ = 0;  // of this loop, those that can be sent
  std::uint64_t read_ = 0, empty_ = 0, shortened_ = 0;
};

}  // namespace memif::tool
