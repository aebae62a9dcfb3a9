#include "perf/worker.hpp"

#include <algorithm>
#include <pthread.h>
#include <sched.h>
#include <thread>
#include <utility>

namespace memif::tool {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::size_t in_buffers = 256;     // taken at once
constexpr std::size_t out_buffers = 2048;   // the longest packet in the smallest sensible buffers takes 1024
constexpr std::uint16_t most_queues = 256;  // of a sender
constexpr auto short_nap = 1ms;             // so often one of several queues looks after the others
constexpr auto nap = 20ms;                  // so often a waiting thread looks whether it is to stop

std::uint64_t now_ns() noexcept {
  return static_cast<std::uint64_t>(steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

void run_on(unsigned cpu) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

// `bytes` have a mark `at` there, and are changed only if it lies across tiny buffers.
inline void write(const Packet& packet, Bytes& bytes, std::size_t at, const PerfMark& mark) noexcept {
  const bool whole = packet.bytes().size() >= at + PerfMark::size;
  if (!whole) mark.write_numbers(bytes.data() + at);
  packet.copy_from(std::as_bytes(std::span(bytes)));
  if (whole) mark.write_numbers(packet.data() + at);
}

}  // namespace

PerfWorker::PerfWorker(Job job, Mode mode, const PerfLoad& load)
    : job_(std::move(job)),
      mark_at_(perf_mark_at(mode)),
      load_(load),
      out_(out_buffers),
      in_(in_buffers),
      packets_(load.packets) {
  const auto same = [this](const Bytes& packet) { return packet.size() == packets_.front().size(); };
  one_size_ = std::all_of(packets_.begin(), packets_.end(), same);
  for (Bytes& packet : packets_) PerfMark{.queue = job_.queue}.write(packet.data() + mark_at_);
}

const char* PerfWorker::does() const noexcept {
  if (job_.reflect) return "reflect";
  return job_.tx == nullptr ? "receive" : job_.rx.empty() ? "send" : "exchange";
}

void PerfWorker::run() {
  if (job_.cpu) run_on(*job_.cpu);
  began_ = steady_clock::now();
  while (running_.load(std::memory_order_relaxed)) {
    std::size_t moved = 0;
    if (job_.reflect) {
      for (RxQueue* rx : job_.rx) moved += reflect(*rx);
    } else {
      if (sends() && sending_.load(std::memory_order_relaxed))
        moved = send();
      else if (sends())
        drained_.store(job_.tx->room() == job_.tx->ring_size(), std::memory_order_relaxed);
      for (RxQueue* rx : job_.rx) moved += receive(*rx);
    }
    if (moved == 0)
      idle();
    else
      idle_turns_ = 0;
  }
}

// How many packets may go now.
std::size_t PerfWorker::due() const {
  if (load_.rate <= 0) return load_.burst;
  const std::chrono::duration<double> elapsed = steady_clock::now() - began_;
  const double behind = elapsed.count() * load_.rate - static_cast<double>(sequence_);
  return behind < 1 ? 0 : std::min(load_.burst, static_cast<std::size_t>(behind));
}

std::size_t PerfWorker::send() {
  const std::size_t wanted = due();
  if (wanted == 0) return 0;
  TxBurst burst = job_.tx->begin(out_);
  const std::size_t count = fill(wanted, burst);
  std::uint64_t bytes = 0;
  for (const Buffer& buffer : burst.buffers()) bytes += buffer.size();
  if (count == 0 || burst.send() == 0) return 0;
  ++bursts_;
  sequence_ += count;
  counts_.sent.add(count);
  counts_.sent_bytes.add(bytes);
  return count;
}

// One packet of each burst carries the time, each place in turn: reading the clock for all would cost more than
// sending.
std::size_t PerfWorker::fill(std::size_t wanted, TxBurst& burst) {
  const std::uint64_t now = now_ns();
  const std::size_t timed = bursts_ % wanted;
  std::size_t count = 0;
  const auto write_next = [&](const Packet& packet) {
    write(packet, packets_[turn_], mark_at_, {.sequence = sequence_ + count, .sent_ns = count == timed ? now : 0});
    turn_ = turn_ + 1 == packets_.size() ? 0 : turn_ + 1;
    ++count;
  };
  if (!one_size_) {
    while (count < wanted && burst.add(static_cast<std::uint32_t>(packets_[turn_].size()))) write_next(burst.back());
    return count;
  }
  burst = job_.tx->allocate(out_, static_cast<std::uint32_t>(packets_.front().size()), wanted);
  const std::span<Buffer> buffers = burst.buffers();
  if (std::any_of(buffers.begin(), buffers.end(), [](const Buffer& buffer) { return buffer.more(); })) {
    for (const Packet packet : burst) write_next(packet);
    return count;
  }
  write_alike(buffers);
  if (timed < buffers.size())
    PerfMark{.sequence = sequence_ + timed, .sent_ns = now}.write_numbers(buffers[timed].data() + mark_at_);
  return buffers.size();
}

// Packets of one buffer each, without a time. All that is stored here are their bytes: anything else would wait in the
// processor behind those whose lines the receiver has, and hold up what comes after it.
void PerfWorker::write_alike(std::span<Buffer> buffers) const noexcept {
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

std::size_t PerfWorker::receive(RxQueue& from) {
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
bool PerfWorker::inspect(const Packet& packet, std::uint64_t now) {
  std::array<std::byte, PerfMark::size> copied;
  const std::size_t end = mark_at_ + copied.size();
  PerfMark mark;
  bool own = false;
  if (packet.bytes().size() >= end) {
    std::memcpy(copied.data(), packet.data() + mark_at_, copied.size());
    own = mark.read(copied.data());
  } else if (std::array<std::byte, 64> head; packet.copy_to(std::span(head).first(end)) == end) {
    own = mark.read(head.data() + mark_at_);
  }
  if (!own || mark.queue >= most_queues || mark.sequence > PerfSequence::most) {
    counts_.foreign.add(1);
    return false;
  }
  if (sequence_of_ == sequences_.end() || sequence_of_->first != mark.queue)
    sequence_of_ = sequences_.try_emplace(mark.queue).first;
  const auto arrival = sequence_of_->second.note(mark.sequence);
  if (arrival == PerfSequence::Arrival::duplicate) {
    counts_.duplicates.add(1);
    return false;
  }
  if (arrival == PerfSequence::Arrival::late) counts_.out_of_order.add(1);
  if (mark.sent_ns != 0 && mark.sent_ns <= now)
    latency_.add(std::chrono::nanoseconds(static_cast<std::int64_t>(now - mark.sent_ns)));
  return true;
}

// No more than the peer has room for, so that a reflector loses nothing.
std::size_t PerfWorker::reflect(RxQueue& from) {
  const std::size_t room = std::min(job_.tx->room(), in_.size());
  if (room == 0) return 0;
  RxBurst burst = from.receive(std::span(in_).first(room));
  if (burst.empty()) return 0;
  std::uint64_t bytes = 0;
  for (const Buffer& buffer : burst.buffers()) bytes += buffer.size();
  counts_.received.add(burst.size());
  counts_.received_bytes.add(bytes);
  counts_.arrived.add(burst.size());
  counts_.sent.add(job_.tx->forward(burst));
  counts_.sent_bytes.add(bytes);
  return burst.size();
}

// Nothing moved. A receiver waits as its mode says. A sender that is ahead of its rate sleeps if the pause is long; one
// whose peer takes nothing lets others run now and then, since the peer may be waiting for this CPU.
void PerfWorker::idle() {
  const bool sending = sends() && sending_.load(std::memory_order_relaxed);
  const bool waits = !job_.rx.empty() && !(job_.reflect && job_.tx->room() == 0);
  const auto longest = job_.rx.size() > 1 ? short_nap : nap;
  const auto pause = sending && load_.rate > 0
                         ? std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(1e9 / load_.rate, 1e18)))
                         : 0ns;
  if (waits && !sending) {
    job_.rx.front()->wait(longest);
  } else if (sending && pause > 200us) {
    if (waits)
      job_.rx.front()->wait(std::min<std::chrono::nanoseconds>(pause / 4, longest));
    else
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(pause / 4, nap));
  } else if (++idle_turns_ % 256 == 0) {
    std::this_thread::yield();
  }
}

}  // namespace memif::tool
