// The packets of a ring that two other processes use, by reading it beside them. docs/architecture.md, "The tap".
//
// Nothing that is read is believed: whatever the ring holds, no more is read than there is, and each look ends. What
// was read is handed out only if it cannot have been overwritten meanwhile; all else is counted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <memif/config.hpp>
#include <memif/detail/descriptor.hpp>
#include <memif/detail/wire.hpp>

namespace memif::detail {

// Where a ring is read from. All that it returns may be anything, and change at any time.
class TapSource {
 public:
  // All of these bytes, or false.
  virtual bool read(std::uint16_t region, std::uint64_t offset, void* to, std::size_t size) = 0;
  // How far descriptors reach; 0: there is no such region.
  virtual std::uint64_t size(std::uint16_t region) = 0;
  // Packets that the program has counted on this queue. They tell how often an index of 16 bits has gone round.
  virtual std::optional<std::uint64_t> counted() = 0;

 protected:
  ~TapSource() = default;
};

class TapRing {
 public:
  struct Place {
    std::uint32_t ring_size = 0;  // descriptors, a power of 2
    std::uint16_t region = 0;
    std::uint64_t offset = 0;
    bool to_server = false;  // filled by the client
    bool stays = false;      // the filler's library touches no buffer before it fills the slot again
  };
  struct Counts {
    std::uint64_t packets = 0;   // handed out
    std::uint64_t missed = 0;    // descriptors whose packets were overwritten, or may have been, before they were read
    std::uint64_t invalid = 0;   // packets that the ring describes wrongly
    std::uint64_t inferred = 0;  // of `packets`: their length is what their headers say
  };
  // The first bytes of a packet, which are good until this returns, and the length of all of it.
  using Take = std::function<void(std::span<const std::byte> kept, std::uint64_t size)>;

  // Of a packet, the first `keep` bytes. From the ring's beginning, or from what comes after the first look.
  TapRing(const Place& place, Mode mode, std::size_t keep, bool from_the_beginning);

  using Time = std::chrono::steady_clock::time_point;

  // Hands out what has appeared since the last look, at most one ring full. After `until` it leaves the rest to the
  // next look, which takes a chunk at least. False: the ring could not be read.
  bool look(TapSource& source, const Take& take, Time until = Time::max());
  // Whether something was left.
  bool behind() const noexcept { return next_ < filled_; }
  // Counts as missed what was left, but for the beginning of a packet.
  void give_up() noexcept;

  const Counts& counts() const noexcept { return counts_; }
  std::uint32_t size() const noexcept { return place_.ring_size; }
  std::uint64_t went_by() const noexcept { return went_by_; }  // descriptors filled between the last two looks

 private:
  // A packet in the chunk.
  struct Chain {
    enum class Verdict { whole, goes_on, invalid, unknown };  // goes_on: its end is not there yet
    Verdict verdict = Verdict::goes_on;
    std::size_t parts = 0;
    std::uint64_t size = 0;
    bool inferred = false;
  };
  // What was copied of it.
  struct Read {
    std::uint64_t first;
    std::size_t parts, at, kept;
    std::uint64_t size;
    bool inferred;
  };
  // Descriptors that are looked at together, and what became of those that are no packets to hand out.
  struct Chunk {
    std::size_t count = 0;
    bool last = false;  // nothing follows
    std::uint64_t unknown = 0, invalid = 0;
  };

  bool observe(TapSource& source);
  void count_laps(TapSource& source);
  std::uint64_t oldest() const noexcept;
  bool remember_posted(TapSource& source);
  bool load(TapSource& source, std::uint64_t first, std::size_t count);
  bool look_at_chunk(TapSource& source, std::uint64_t end, const Take& take);
  std::size_t read_chunk(TapSource& source, Chunk& chunk);
  void hand_out(const Chunk& chunk, std::uint64_t first, std::uint64_t still, const Take& take);
  bool skip_rest(std::size_t at);
  Chain follow(TapSource& source, std::size_t at, const Chunk& chunk);
  void end_by_headers(TapSource& source, std::size_t at, const Chunk& chunk, Chain& chain);
  bool reachable(TapSource& source, const RawDescriptor& part) const;
  bool moved(std::uint64_t index, const RawDescriptor& descriptor);
  bool read_packet(TapSource& source, std::size_t at, const Chain& chain);
  std::size_t slot(std::uint64_t index) const noexcept { return index & (place_.ring_size - 1); }

  const Place place_;
  const Mode mode_;
  const std::size_t keep_;
  const std::uint64_t margin_;  // descriptors that the filler may have in preparation
  bool begun_;

  // Indices are counted on here beyond their 16 bits.
  std::uint64_t filled_ = 0;  // of the filler, when the ring was looked at last
  std::uint64_t held_ = 0;    // filled and not given back yet
  std::uint64_t next_ = 0;    // the first that was not handed out
  std::uint64_t last_look_ = 0, went_by_ = 0;
  std::uint64_t counted_ = 0, counted_at_ = 0;  // by the program, when `filled_` was `counted_at_`
  std::chrono::steady_clock::time_point looked_{};

  bool skipping_ = false;   // the rest of a packet that has no end in sight
  bool wandering_ = false;  // buffers do not belong to their slots
  std::uint64_t remembered_ = 0;
  std::uint32_t posted_length_ = 0;     // of the empty buffers of a client
  std::vector<std::uint64_t> buffers_;  // by slot: region and offset of its buffer, plus 1; 0: not known

  std::vector<wire::Descriptor> raw_;
  std::vector<RawDescriptor> descriptors_;  // of the present chunk
  std::vector<Read> reads_;
  std::vector<std::byte> bytes_;
  Counts counts_;
};

}  // namespace memif::detail
