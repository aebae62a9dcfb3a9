// What is the same for a victim of either API: its second interface's traffic, a clock that goes by it, and what it has
// seen that must not be.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace memif::hostile {

std::string unique_socket(const char* what);

// Packets with numbers, each compared byte by byte. Written by one thread, read by any.
class VerifiedTraffic {
 public:
  std::uint64_t verified() const { return verified_; }
  std::uint64_t wrong() const { return wrong_; }
  // Of its thread, each with a sleep of a millisecond: a clock that stands still when this process does.
  std::uint64_t rounds() const { return rounds_; }

 protected:
  static constexpr std::uint16_t packet_size = 256, burst_size = 16;

  void write(void* packet) { fill(packet, written_++); }
  void compare(const void* packet, std::size_t size);
  // After each burst: it has come whole.
  void arrived(std::size_t received, std::size_t sent) { wrong_ += received != sent ? 1 : 0; }
  void next_round() { ++rounds_; }

 private:
  static void fill(void* packet, std::uint32_t number);

  std::uint32_t written_ = 0, compared_ = 0;
  std::atomic<std::uint64_t> verified_{0}, wrong_{0}, rounds_{0};
};

class AnyVictim {
 public:
  AnyVictim() = default;
  AnyVictim(const AnyVictim&) = delete;
  AnyVictim& operator=(const AnyVictim&) = delete;
  virtual ~AnyVictim() = default;

  // One turn of control and data thread: receives and reads every byte, allocates, writes and sends. Then waits for the
  // control channels, so long at most.
  void turn(std::chrono::milliseconds wait = std::chrono::milliseconds(0));
  // Turns until `done`; false after a long time.
  bool turn_until(const std::function<bool()>& done);
  // What part of the time goes on processor time while nothing is asked of it but to wait.
  double idle_load();

  std::uint64_t good() const { return good_; }
  std::uint64_t evil() const { return evil_; }
  std::uint64_t outside() const { return outside_; }  // buffers handed out that are not within a region
  std::uint64_t mistaken() const {
    return mistaken_;
  }  // calls that did not notice that there is no link, and interrupts of none
  // Of all turns, in rounds of the bystander: more than this, and a call has waited for the peer.
  static constexpr std::uint64_t longest_allowed = 1000;
  std::uint64_t longest_turn() const { return longest_turn_; }

 protected:
  virtual void one_turn(std::chrono::milliseconds wait) = 0;
  virtual void idle_turn() = 0;  // waits for whatever comes, receives it, and no more
  virtual const VerifiedTraffic& traffic() const = 0;

  void saw(const void* packet, std::size_t size);  // its first bytes

  std::uint64_t outside_ = 0, mistaken_ = 0, checksum_ = 0;

 private:
  std::uint64_t longest_turn_ = 0, good_ = 0, evil_ = 0;
};

}  // namespace memif::hostile
