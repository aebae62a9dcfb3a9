// The fuzzer's bytes as numbers, taken from the front; zero when there are none left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

namespace memif::fuzz {

// For what only checks, or goes through all of a table: there is nothing to be learnt from where it goes.
#define UNGUIDED __attribute__((no_sanitize("coverage")))

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) noexcept : rest_(data, size) {}

  bool empty() const noexcept { return rest_.empty(); }
  std::span<const std::uint8_t> rest() const noexcept { return rest_; }

  std::uint8_t byte() noexcept {
    if (rest_.empty()) return 0;
    const std::uint8_t value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }
  // At most `most`.
  std::uint32_t upto(std::uint32_t most) noexcept { return byte() % (most + 1); }

  template <class T>
  T number() noexcept {
    T value{};
    const std::size_t n = rest_.size() < sizeof value ? rest_.size() : sizeof value;
    std::memcpy(&value, rest_.data(), n);
    rest_ = rest_.subspan(n);
    return value;
  }
  std::span<const std::uint8_t> bytes(std::size_t count) noexcept {
    const auto taken = rest_.first(count < rest_.size() ? count : rest_.size());
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const std::uint8_t> rest_;
};

// An invariant: the fuzzer stops and keeps the input when it does not hold.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "invariant broken: %s\n", what);
  std::abort();
}

}  // namespace memif::fuzz
