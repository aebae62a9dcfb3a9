// SipHash by Aumasson and Bernstein: a keyed hash, for tables whose keys somebody else chooses. Who does not know the
// key cannot find keys that meet in one place of the table.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace memif::tool {

using SipKey = std::array<std::uint64_t, 2>;

// From the kernel's random numbers. Throws std::system_error.
SipKey random_sip_key();

class SipState {
 public:
  explicit constexpr SipState(const SipKey& key) noexcept
      : v_{key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
           key[1] ^ 0x7465646279746573} {}

  constexpr void rounds(int count) noexcept {
    auto& [a, b, c, d] = v_;
    for (; count != 0; --count) {
      a += b, b = std::rotl(b, 13) ^ a, a = std::rotl(a, 32);
      c += d, d = std::rotl(d, 16) ^ c;
      a += d, d = std::rotl(d, 21) ^ a;
      c += b, b = std::rotl(b, 17) ^ c, c = std::rotl(c, 32);
    }
  }
  constexpr void add(std::uint64_t word, int count) noexcept {
    v_[3] ^= word;
    rounds(count);
    v_[0] ^= word;
  }
  constexpr std::uint64_t finish(int count) noexcept {
    v_[2] ^= 0xff;
    rounds(count);
    return v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
  }

 private:
  std::array<std::uint64_t, 4> v_;
};

// SipHash-1-3 of the eight bytes of a number, the lowest first.
constexpr std::uint64_t siphash(const SipKey& key, std::uint64_t number) noexcept {
  SipState state(key);
  state.add(number, 1);
  state.add(std::uint64_t{sizeof number} << 56, 1);  // no bytes are left over; the length
  return state.finish(3);
}

}  // namespace memif::tool
