// A source, a forwarder and a sink: two links, whose clients are the forwarder's.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <gtest/gtest.h>
#include <span>
#include <utility>
#include <vector>

#include "support/pair.hpp"

namespace memif::test {

// Small, so that packets of some hundred bytes are chains, and a burst fills the ring.
inline constexpr std::uint32_t small_buffer = 256;
inline InterfaceConfig small_link() { return {.socket = "", .ring_size = 16, .buffer_size = small_buffer}; }

inline std::vector<std::byte> numbered_packet(std::uint32_t number, std::size_t size) {
  std::vector<std::byte> bytes(size, static_cast<std::byte>(number));
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

// source.tx -> in, out -> sink.rx; or back over the first link, where the second has no part.
template <class Param>
class Forwarding : public testing::TestWithParam<Param> {
 protected:
  explicit Forwarding(const InterfaceConfig& config, bool over_one_link = false)
      : first(config), second(config), last(over_one_link ? first : second) {}

  void SetUp() override {
    ASSERT_TRUE(first.connect());
    ASSERT_TRUE(second.connect());
  }
  TxQueue& source() { return first.server->tx(0); }
  RxQueue& in() { return first.client->rx(0); }
  TxQueue& out() { return last.client->tx(0); }
  RxQueue& sink() { return last.server->rx(0); }

  bool send(std::uint32_t number, std::size_t size) { return source().send_copy(numbered_packet(number, size)); }

  // All packets that come in so many buffers, numbers and sizes, each with the bytes that it was sent with.
  using Arrived = std::vector<std::pair<std::uint32_t, std::size_t>>;
  Arrived arrive(std::size_t buffers = 32) {
    Arrived arrived;
    for (const Packet packet : sink().receive(std::span(drained).first(buffers))) {
      std::vector<std::byte> bytes(packet.size());
      packet.copy_to(bytes);
      std::uint32_t number = 0;
      std::memcpy(&number, bytes.data(), std::min(bytes.size(), sizeof number));
      EXPECT_EQ(bytes, numbered_packet(number, bytes.size()));
      arrived.emplace_back(number, bytes.size());
    }
    return arrived;
  }
  void expect_at_sink(std::uint32_t number, std::size_t size) { ASSERT_EQ(arrive(), (Arrived{{number, size}})); }

  Pair first, second;
  Pair& last;
  std::array<Buffer, 32> received, drained;
};

}  // namespace memif::test
