#include "perf/receiver.hpp"

#include <array>
#include <cstring>

#include "net/packets.hpp"
#include "perf/clock.hpp"
#include "perf/gateway.hpp"

namespace memif::tool {
namespace {

constexpr std::size_t in_buffers = 256;   // taken at once
constexpr std::size_t most_series = 512;  // remembered, of whoever sends

}  // namespace

PerfReceiver::PerfReceiver(const Settings& settings, PerfCounts& counts)
    : settings_(settings), mark_at_(settings.mark_at), counts_(counts), in_(in_buffers) {}

std::map<std::uint16_t, std::uint64_t> PerfReceiver::expected() const {
  std::map<std::uint16_t, std::uint64_t> numbers;
  for (const auto& [series, sequence] : sequences_) numbers[series] = sequence.expected();
  return numbers;
}

std::size_t PerfReceiver::receive(RxQueue& from) {
  const RxBurst burst = from.receive(in_);
  if (burst.empty()) return 0;
  // Otherwise the processor, which looks ahead by a few packets only, waits for each of these lines anew.
  for (const Buffer& buffer : burst.buffers()) __builtin_prefetch(buffer.data() + mark_at_);
  const std::uint64_t now = now_ns();
  std::uint64_t bytes = 0, arrived = 0;
  for (const Packet packet : burst) arrived += inspect(packet, now) ? 1 : 0;
  for (const Buffer& buffer : burst.buffers()) bytes += buffer.size();
  counts_.received.add(burst.size());
  counts_.received_bytes.add(bytes);
  counts_.arrived.add(arrived);
  return burst.size();
}

// Whether the packet is one of memif perf that has not come before.
inline bool PerfReceiver::inspect(const Packet& packet, std::uint64_t now) {
  std::array<std::byte, PerfMark::size> copied;
  PerfMark mark;
  if (packet.bytes().size() < mark_at_ + copied.size()) return inspect_foreign(packet, now);
  std::memcpy(copied.data(), packet.data() + mark_at_, copied.size());
  return mark.read(copied.data()) ? account(mark, now) : inspect_foreign(packet, now);
}

// A packet of others; or one whose mark is elsewhere, since a tag was added or removed on its way: the next ones are
// likely to be alike. Or one in tiny buffers.
bool PerfReceiver::inspect_foreign(const Packet& packet, std::uint64_t now) {
  std::array<std::uint8_t, head_size> room;
  const View head = copy_head(packet, room);
  const auto at = find_mark(head, settings_.mode);
  PerfMark mark;
  if (at && *at + PerfMark::size <= head.size() && mark.read(head.data() + *at)) {
    mark_at_ = *at;
    return account(mark, now);
  }
  counts_.foreign.add(1);
  answer(head, packet.size());
  return false;
}

inline bool PerfReceiver::account(const PerfMark& mark, std::uint64_t now) {
  if ((mark.series != series_ || sequence_ == nullptr) && !find(mark.series)) return false;
  if (mark.sequence > PerfSequence::most) {
    counts_.foreign.add(1);
    return false;
  }
  const auto arrival = sequence_->note(mark.sequence);
  if (arrival == PerfSequence::Arrival::duplicate) {
    counts_.duplicates.add(1);
    return false;
  }
  if (arrival == PerfSequence::Arrival::late) counts_.out_of_order.add(1);
  if (mark.sent_ns != 0 && mark.sent_ns <= now)
    latency_.add(std::chrono::nanoseconds(static_cast<std::int64_t>(now - mark.sent_ns)));
  return true;
}

// Makes `series` the present one, if it counts.
bool PerfReceiver::find(std::uint16_t series) {
  auto at = sequences_.find(series);
  const bool counts = settings_.series.contains(series) && (at != sequences_.end() || sequences_.size() < most_series);
  if (!counts) {
    counts_.foreign.add(1);
    return false;
  }
  if (at == sequences_.end()) at = sequences_.try_emplace(series).first;
  sequence_ = &at->second;
  series_ = series;
  return true;
}

void PerfReceiver::answer(View head, std::size_t size) {
  if (settings_.neighbor == nullptr || settings_.tx == nullptr) return;
  if (const auto reply = settings_.neighbor->answer(head, size)) send_one(*settings_.tx, *reply);
}

}  // namespace memif::tool
