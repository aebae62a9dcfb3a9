// Traffic that proves itself: every packet says who sent it, which one it is, and what its bytes sum up to.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <memif/memif.hpp>

namespace memif::stress {

// Small, fast, and the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
  std::uint64_t next() noexcept {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  std::uint32_t below(std::uint32_t n) noexcept { return static_cast<std::uint32_t>((next() >> 32) * n >> 32); }

 private:
  std::uint64_t state_;
};

struct Header {
  std::uint64_t session;   // of the sender's link: a new one begins at sequence 0
  std::uint64_t sequence;  // within the session
  std::uint64_t checksum;  // over both, the size and all bytes that follow
};
inline constexpr std::uint32_t smallest_packet = sizeof(Header);

// Fills a packet that is at least smallest_packet long; its first buffer holds the header.
void seal(const Packet& packet, std::uint64_t session, std::uint64_t sequence) noexcept;

struct Seen {
  Header header;
  bool intact;
};
Seen inspect(const Packet& packet) noexcept;

struct LaneOptions {
  std::uint64_t seed = 1;
  std::uint64_t packets = 0;      // to send and to receive; 0: without end
  std::uint32_t max_size = 9000;  // of the few that are large
  std::uint32_t ring_size = 1024;
};

// One queue each way, used by one thread: sends numbered packets in random bursts and checks those that come.
class Lane {
 public:
  Lane(RxQueue& rx, TxQueue& tx, LaneOptions options);

  bool send_some() noexcept;     // true: something was sent
  bool receive_some() noexcept;  // true: something came
  void wait(std::chrono::nanoseconds timeout) noexcept { rx_.wait(timeout); }

  // Everything was sent and received, and the peer has taken what was sent (or is gone, which it may be then).
  bool done() noexcept;

  // From any thread.
  std::uint64_t sent() const noexcept { return sent_.get(); }
  std::uint64_t received() const noexcept { return received_.get(); }
  std::uint64_t bytes() const noexcept { return bytes_.get(); }
  std::uint64_t errors() const noexcept { return errors_.get(); }

  // The first packet that was not what it had to be; when the thread has ended.
  const std::string& first_error() const noexcept { return first_error_; }

 private:
  std::uint32_t random_size() noexcept;
  void check(const Packet& packet) noexcept;
  void fail(const Seen& seen, std::size_t size, const char* what) noexcept;

  RxQueue& rx_;
  TxQueue& tx_;
  LaneOptions options_;
  Random random_;
  std::array<Buffer, 128> out_{};
  std::array<Buffer, 128> in_{};
  bool started_ = false;
  std::uint32_t epoch_ = 0;
  std::uint64_t session_ = 0, sequence_ = 0;            // of what is sent
  std::uint64_t peer_session_ = 0, peer_sequence_ = 0;  // of what is expected
  Counter sent_, received_, bytes_, errors_;
  std::string first_error_;
};

// Works the lanes round-robin until all are done, or until told to stop.
void work(std::span<Lane* const> lanes, const std::atomic<bool>& stop);

}  // namespace memif::stress
