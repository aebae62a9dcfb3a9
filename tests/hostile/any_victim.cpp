#include "any_victim.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <unistd.h>

namespace memif::hostile {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::chrono::nanoseconds cpu_time() {  // of this thread
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

std::string unique_socket(const char* what) {
  static std::atomic<int> count{0};
  return std::string("@memifpp-hostile-") + what + "-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
}

void VerifiedTraffic::fill(void* packet, std::uint32_t number) {
  std::memset(packet, static_cast<int>(number % 251), packet_size);
  std::memcpy(packet, &number, sizeof number);
}

void VerifiedTraffic::compare(const void* packet, std::size_t size) {
  std::array<std::byte, packet_size> expected;
  fill(expected.data(), compared_++);
  ++(size == packet_size && std::memcmp(packet, expected.data(), packet_size) == 0 ? verified_ : wrong_);
}

void AnyVictim::turn(std::chrono::milliseconds wait) {
  const std::uint64_t before = traffic().rounds();
  one_turn(wait);
  longest_turn_ = std::max(longest_turn_, traffic().rounds() - before);
}

bool AnyVictim::turn_until(const std::function<bool()>& done) {
  const std::uint64_t patience = traffic().rounds() + 20'000;
  while (!done()) {
    if (traffic().rounds() > patience) return false;
    turn(1ms);
  }
  return true;
}

double AnyVictim::idle_load() {
  const auto before = cpu_time();
  const auto start = Clock::now();
  while (Clock::now() - start < 40ms) idle_turn();
  return std::chrono::duration<double>(cpu_time() - before) / std::chrono::duration<double>(Clock::now() - start);
}

void AnyVictim::saw(const void* packet, std::size_t size) {
  if (size < 4) return;
  good_ += std::memcmp(packet, "GOOD", 4) == 0 ? 1 : 0;
  evil_ += std::memcmp(packet, "EVIL", 4) == 0 ? 1 : 0;
}

}  // namespace memif::hostile
