#include "perf_worker.hpp"

#include <algorithm>
#include <array>
#include <thread>

#include "perf_packet.hpp"

namespace memif::tool {
namespace {

using std::chrono::steady_clock;

void add(std::atomic<std::uint64_t>& counter, std::uint64_t more) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

std::uint64_t now_ns() noexcept {
  return static_cast<std::uint64_t>(steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

}  // namespace

PerfWorker::PerfWorker(TxQueue* tx, RxQueue* rx, Mode mode, std::uint16_t queue, const PerfLoad& load)
    : tx_(tx),
      rx_(rx),
      mark_at_(perf_mark_at(mode)),
      queue_(queue),
      load_(load),
      out_(std::max<std::size_t>(load.burst, 256)),  // a long packet is a chain of buffers
      in_(256),
      packets_(load.packets) {}

void PerfWorker::run() {
  began_ = steady_clock::now();
  while (running_.load(std::memory_order_relaxed)) {
    const bool sending = tx_ != nullptr && sending_.load(std::memory_order_relaxed);
    std::size_t moved = sending ? send() : 0;
    if (rx_ != nullptr) moved += receive();
    if (moved == 0) idle();
  }
}

// How many packets may go now.
std::size_t PerfWorker::allowed() {
  if (load_.rate <= 0) return load_.burst;
  const std::chrono::duration<double> elapsed = steady_clock::now() - began_;
  const double due = elapsed.count() * load_.rate - static_cast<double>(sequence_);
  return due < 1 ? 0 : std::min(load_.burst, static_cast<std::size_t>(due));
}

std::size_t PerfWorker::send() {
  const std::size_t wanted = allowed();
  if (wanted == 0) return 0;
  TxBurst burst = tx_->begin(out_);
  const std::uint64_t now = now_ns();
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  for (; count < wanted; ++count) {
    Bytes& packet = packets_[turn_];
    if (!burst.add(static_cast<std::uint32_t>(packet.size()))) break;
    // One packet of each burst carries the time, each place in turn: a histogram of all would cost more than sending.
    const std::uint64_t time = count == bursts_ % load_.burst ? now : 0;
    PerfMark{queue_, sequence_ + count, time}.write(packet.data() + mark_at_);
    burst.back().copy_from(std::as_bytes(std::span(packet)));
    bytes += packet.size();
    turn_ = turn_ + 1 == packets_.size() ? 0 : turn_ + 1;
  }
  burst.send();
  if (count == 0) return 0;
  ++bursts_;
  sequence_ += count;
  add(counts_.sent, count);
  add(counts_.sent_bytes, bytes);
  return count;
}

std::size_t PerfWorker::receive() {
  RxBurst burst = rx_->receive(in_);
  if (burst.empty()) return 0;
  const std::uint64_t now = now_ns();
  std::uint64_t own = 0, foreign = 0, bytes = 0;
  for (const Packet packet : burst) {
    std::array<std::uint8_t, 64> head;
    const std::size_t size = packet.size();
    const std::size_t copied = packet.copy_to(std::as_writable_bytes(std::span(head)));
    bytes += size;
    PerfMark mark;
    if (copied < mark_at_ + PerfMark::size || !mark.read(head.data() + mark_at_)) {
      ++foreign;
      continue;
    }
    ++own;
    expected_ = std::max(expected_, mark.sequence + 1);
    if (mark.sent_ns != 0 && mark.sent_ns <= now)
      latency_.add(std::chrono::nanoseconds(static_cast<std::int64_t>(now - mark.sent_ns)));
  }
  const std::size_t count = burst.size();
  add(counts_.received, own);
  add(counts_.foreign, foreign);
  add(counts_.received_bytes, bytes);
  return count;
}

// Nothing moved: a receiver waits as its mode says; a sender that is far ahead of its rate sleeps.
void PerfWorker::idle() {
  if (rx_ != nullptr && (tx_ == nullptr || !sending_.load(std::memory_order_relaxed))) {
    rx_->wait(std::chrono::milliseconds(20));
    return;
  }
  const bool may_sleep = rx_ == nullptr || rx_->mode() != RxMode::polling;
  if (may_sleep && load_.rate > 0 && load_.rate < 10'000) {
    const std::chrono::nanoseconds gap(static_cast<std::int64_t>(1e9 / load_.rate / 4));
    if (rx_ != nullptr)
      rx_->wait(std::min<std::chrono::nanoseconds>(gap, std::chrono::milliseconds(20)));
    else
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(gap, std::chrono::milliseconds(20)));
  }
}

}  // namespace memif::tool
