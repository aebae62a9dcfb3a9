#include "traffic.hpp"

#include <cstring>
#include <unistd.h>

namespace memif::stress {
namespace {

constexpr std::uint64_t odd = 0xD6E8FEB86659FD93u;

std::uint64_t absorb(std::uint64_t sum, std::uint64_t word) noexcept {
  sum = (sum ^ word) * odd;
  return sum ^ (sum >> 29);
}

std::uint64_t begin_sum(const Header& header, std::size_t size) noexcept {
  return absorb(absorb(absorb(0, header.session), header.sequence), size);
}

// The bytes behind the header, buffer by buffer. Both sides see the same buffers, so each may end in a short word.
template <class Visit>
void for_payload(const Packet& packet, Visit visit) noexcept {
  std::size_t skip = sizeof(Header);
  for (const Buffer& buffer : packet.buffers()) {
    visit(buffer.data() + skip, buffer.size() - skip);
    skip = 0;
  }
}

std::uint64_t write_payload(std::byte* to, std::size_t size, std::uint64_t& state, std::uint64_t sum) noexcept {
  for (; size >= 8; size -= 8, to += 8) {
    state += odd;
    std::memcpy(to, &state, 8);
    sum = absorb(sum, state);
  }
  if (size == 0) return sum;
  state += odd;
  std::uint64_t last = 0;
  std::memcpy(&last, &state, size);
  std::memcpy(to, &last, size);
  return absorb(sum, last);
}

std::uint64_t read_payload(const std::byte* from, std::size_t size, std::uint64_t sum) noexcept {
  for (; size >= 8; size -= 8, from += 8) {
    std::uint64_t word;
    std::memcpy(&word, from, 8);
    sum = absorb(sum, word);
  }
  if (size == 0) return sum;
  std::uint64_t last = 0;
  std::memcpy(&last, from, size);
  return absorb(sum, last);
}

std::uint64_t new_session(std::uint64_t seed, std::uint32_t epoch) noexcept {
  const auto now = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
  return absorb(absorb(absorb(now, static_cast<std::uint64_t>(::getpid())), seed), epoch) | 1;
}

}  // namespace

void seal(const Packet& packet, std::uint64_t session, std::uint64_t sequence) noexcept {
  Header header{session, sequence, 0};
  std::uint64_t sum = begin_sum(header, packet.size());
  std::uint64_t state = session ^ (sequence * odd);
  for_payload(packet, [&](std::byte* to, std::size_t size) { sum = write_payload(to, size, state, sum); });
  header.checksum = sum;
  std::memcpy(packet.data(), &header, sizeof header);
}

Seen inspect(const Packet& packet) noexcept {
  Seen seen{{}, false};
  if (packet.bytes().size() < sizeof(Header)) return seen;
  std::memcpy(&seen.header, packet.data(), sizeof(Header));
  std::uint64_t sum = begin_sum(seen.header, packet.size());
  for_payload(packet, [&](std::byte* from, std::size_t size) { sum = read_payload(from, size, sum); });
  seen.intact = sum == seen.header.checksum;
  return seen;
}

Lane::Lane(RxQueue& rx, TxQueue& tx, LaneOptions options)
    : rx_(rx), tx_(tx), options_(options), random_(options.seed) {}

// Nine of ten are small, a few fill a buffer, one in fifty is as large as a jumbo frame.
std::uint32_t Lane::random_size() noexcept {
  const std::uint32_t kind = random_.below(100);
  const std::uint32_t most = kind < 90 ? 200 : kind < 98 ? 2048 : options_.max_size;
  return smallest_packet + random_.below(std::min(most, options_.max_size) - smallest_packet + 1);
}

bool Lane::send_some() noexcept {
  std::uint64_t wanted = 1 + random_.below(64);
  if (options_.packets != 0) wanted = std::min(wanted, options_.packets - sent_.get());
  if (wanted == 0) return false;
  TxBurst burst = tx_.begin(out_);
  if (!started_ || tx_.raw().epoch() != epoch_) {
    started_ = true;
    epoch_ = tx_.raw().epoch();
    session_ = new_session(options_.seed, epoch_);
    sequence_ = 0;
  }
  while (burst.size() < wanted && burst.add(random_size())) seal(burst.back(), session_, sequence_ + burst.size() - 1);
  const std::size_t sent = burst.send();
  sequence_ += sent;
  sent_.add(sent);
  return sent != 0;
}

bool Lane::receive_some() noexcept {
  // Never fewer buffers than the largest packet needs: what does not fit an array is dropped.
  const RxBurst burst = rx_.receive(std::span(in_).first(16 + random_.below(112)));
  for (const Packet packet : burst) check(packet);
  received_.add(burst.size());
  return !burst.empty();
}

void Lane::check(const Packet& packet) noexcept {
  const Seen seen = inspect(packet);
  bytes_.add(packet.size());
  if (seen.header.session != peer_session_ && seen.header.sequence == 0) {
    peer_session_ = seen.header.session;
    peer_sequence_ = 0;
  }
  if (!seen.intact) {
    fail(seen, packet.size(), "damaged");
  } else if (seen.header.session != peer_session_) {
    fail(seen, packet.size(), "from another session");
  } else if (seen.header.sequence != peer_sequence_) {
    fail(seen, packet.size(), seen.header.sequence < peer_sequence_ ? "doubled or late" : "after a gap");
    peer_sequence_ = seen.header.sequence;
  }
  ++peer_sequence_;
}

void Lane::fail(const Seen& seen, std::size_t size, const char* what) noexcept {
  if (errors_.get() == 0)
    first_error_ = std::string("a packet of ") + std::to_string(size) + " bytes, sequence " +
                   std::to_string(seen.header.sequence) + " where " + std::to_string(peer_sequence_) +
                   " was due: " + what;
  errors_.add(1);
}

bool Lane::done() noexcept {
  if (options_.packets == 0 || sent_.get() < options_.packets || received_.get() < options_.packets) return false;
  return tx_.room() == options_.ring_size || !tx_.up();
}

void work(std::span<Lane* const> lanes, const std::atomic<bool>& stop) {
  std::size_t turn = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    bool moved = false, done = true;
    for (Lane* lane : lanes) {
      moved |= lane->receive_some();
      moved |= lane->send_some();
      done &= !moved && lane->done();
    }
    if (done) return;
    // Nothing wakes a sender whose ring is full, so no sleep is long.
    if (!moved) lanes[turn++ % lanes.size()]->wait(std::chrono::microseconds(200));
  }
}

}  // namespace memif::stress
