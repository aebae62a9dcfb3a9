#include "perf/sender.hpp"

#include <algorithm>
#include <limits>

#include "perf/clock.hpp"

namespace memif::tool {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t out_buffers = 2048;  // the longest packet in the smallest sensible buffers takes 1024

// `bytes` have a mark `at` there, and are changed only if it lies across tiny buffers.
inline void write(const Packet& packet, Bytes& bytes, std::size_t at, const PerfMark& mark) noexcept {
  const bool whole = packet.bytes().size() >= at + PerfMark::size;
  if (!whole) mark.write_numbers(bytes.data() + at);
  packet.copy_from(std::as_bytes(std::span(bytes)));
  if (whole) mark.write_numbers(packet.data() + at);
}

}  // namespace

PerfSender::PerfSender(TxQueue& tx, const PerfTraffic& traffic, const PerfPace& pace, std::uint16_t series,
                       PerfCounts& counts)
    : tx_(tx),
      traffic_(traffic),
      pace_(pace),
      limit_(pace.limit != 0 ? pace.limit : std::numeric_limits<std::uint64_t>::max()),
      series_(series),
      mark_at_(traffic.mark_at()),
      counts_(counts),
      out_(out_buffers),
      plain_(traffic.flows() == 1 && !traffic.has_checksums()),
      flow_(series % PerfSeries::queues % traffic.flows()) {
  for (std::size_t turn = 0; turn < traffic.turns(); ++turn) packets_.push_back(traffic.packet(turn));
  for (Bytes& packet : packets_) PerfMark{.series = series_}.write(packet.data() + mark_at_);
  const auto same = [this](const Bytes& packet) { return packet.size() == packets_.front().size(); };
  one_size_ = std::all_of(packets_.begin(), packets_.end(), same);
}

std::chrono::nanoseconds PerfSender::pause() const noexcept {
  return std::chrono::nanoseconds(pace_.rate > 0 ? static_cast<std::int64_t>(std::min(1e9 / pace_.rate, 1e18)) : 0);
}

// How many packets may go now.
std::size_t PerfSender::due() const {
  const std::size_t most = std::min(pace_.burst, static_cast<std::size_t>(limit_ - sequence_));
  if (pace_.rate <= 0) return most;
  const std::chrono::duration<double> elapsed = steady_clock::now() - began_;
  const double behind = elapsed.count() * pace_.rate - static_cast<double>(sequence_);
  return behind < 1 ? 0 : std::min(most, static_cast<std::size_t>(behind));
}

std::size_t PerfSender::send() {
  const std::size_t wanted = due();
  if (wanted == 0) return 0;
  TxBurst burst = tx_.begin(out_);
  const std::uint64_t now = now_ns();
  const std::size_t count = fill(wanted, now, burst);
  if (count < wanted) counts_.stalls.add(1);
  std::uint64_t bytes = 0;
  for (const Buffer& buffer : burst.buffers()) bytes += buffer.size();
  if (count == 0 || burst.send() == 0) return 0;
  ++bursts_;
  last_ns_ = now;
  sequence_ += count;
  counts_.sent.add(count);
  counts_.sent_bytes.add(bytes);
  return count;
}

// One packet of each burst carries the time, each place in turn: reading the clock for all would cost more than
// sending.
std::size_t PerfSender::fill(std::size_t wanted, std::uint64_t now, TxBurst& burst) {
  const std::size_t timed = bursts_ % wanted;
  std::size_t count = 0;
  const auto write_next_of = [&](const Packet& packet) {
    write_next(packet, {.series = series_, .sequence = sequence_ + count, .sent_ns = count == timed ? now : 0});
    ++count;
  };
  if (!one_size_) {
    while (count < wanted && burst.add(static_cast<std::uint32_t>(packets_[turn_].size()))) write_next_of(burst.back());
    return count;
  }
  burst = tx_.allocate(out_, static_cast<std::uint32_t>(packets_.front().size()), wanted);
  const std::span<Buffer> buffers = burst.buffers();
  if (std::any_of(buffers.begin(), buffers.end(), [](const Buffer& buffer) { return buffer.more(); })) {
    for (const Packet packet : burst) write_next_of(packet);
    return count;
  }
  if (!plain_) {
    write_flows(buffers, timed, now);
    return buffers.size();
  }
  write_alike(buffers);
  if (timed < buffers.size())
    PerfMark{.sequence = sequence_ + timed, .sent_ns = now}.write_numbers(buffers[timed].data() + mark_at_);
  return buffers.size();
}

// A packet of any number of buffers.
void PerfSender::write_next(const Packet& packet, const PerfMark& mark) {
  Bytes& bytes = packets_[turn_];
  if (plain_) {
    write(packet, bytes, mark_at_, mark);
  } else {
    write_head(bytes.data(), mark);
    packet.copy_from(std::as_bytes(std::span(bytes)));
  }
  advance();
}

void PerfSender::advance() noexcept {
  turn_ = turn_ + 1 == packets_.size() ? 0 : turn_ + 1;
  flow_ = flow_ + 1 == traffic_.flows() ? 0 : flow_ + 1;
}

// Packets of one buffer each, without a time. All that is stored here are their bytes: anything else would wait in the
// processor behind those whose lines the receiver has, and hold up what comes after it.
void PerfSender::write_alike(std::span<Buffer> buffers) const noexcept {
  const std::size_t size = packets_.front().size(), at = mark_at_;
  const std::uint8_t* const bytes = packets_.front().data();
  PerfMark mark{.sequence = sequence_};
  for (const Buffer& buffer : buffers) {
    std::byte* const to = buffer.data();
    std::memcpy(to, bytes, size);
    mark.write_numbers(to + at);
    ++mark.sequence;
  }
}

// Packets of one size and one buffer each.
void PerfSender::write_flows(std::span<Buffer> buffers, std::size_t timed, std::uint64_t now) noexcept {
  const Bytes& bytes = packets_.front();
  const std::size_t end = mark_at_ + PerfMark::size;
  PerfMark mark{.series = series_, .sequence = sequence_};
  for (std::size_t i = 0; i < buffers.size(); ++i, ++mark.sequence) {
    mark.sent_ns = i == timed ? now : 0;
    write_head(buffers[i].data(), mark);
    std::memcpy(buffers[i].data() + end, bytes.data() + end, bytes.size() - end);
    advance();
  }
}

// The headers of this flow, and the mark behind them.
void PerfSender::write_head(void* to, const PerfMark& mark) const noexcept {
  auto* const at = static_cast<std::uint8_t*>(to);
  const std::uint8_t* const headers = traffic_.headers(turn_, flow_);
  std::memcpy(at, headers, mark_at_);
  mark.write(at + mark_at_);
  if (!traffic_.has_checksums()) return;
  std::array<std::uint8_t, PerfMark::size> bytes;
  mark.write(bytes.data());
  const std::uint16_t sum = checksum(bytes, get16({headers, mark_at_}, mark_at_ - 2));
  put16({at, mark_at_}, mark_at_ - 2, sum != 0 ? sum : 0xffff);  // 0 would be none
}

}  // namespace memif::tool
