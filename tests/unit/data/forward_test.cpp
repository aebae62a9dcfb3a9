// TxQueue::forward() into a sink that is slower than the source.
#include <algorithm>
#include <array>
#include <gtest/gtest.h>

#include "unit/data/forwarding.hpp"

namespace memif {
namespace {

using test::Pair;

std::uint32_t size_of(std::uint32_t number) { return number % 5 == 0 ? 3 * test::small_buffer + 7 : 60 + number % 100; }

struct Way {
  const char* name;
  bool exchanges;  // both queues belong to one link of a client; else packets are copied to another link
};

class Forward : public test::Forwarding<Way> {
 protected:
  Forward() : Forwarding(test::small_link(), GetParam().exchanges) {}
  bool send(std::uint32_t number) { return Forwarding::send(number, size_of(number)); }

  // Takes up to so many buffers' worth of packets, which must be the next.
  void drain(std::size_t buffers) {
    for (const auto& [number, size] : arrive(buffers)) {
      ASSERT_EQ(number, arrived);
      ASSERT_EQ(size, size_of(number));
      ++arrived;
    }
  }

  std::uint32_t arrived = 0;
};

TEST_P(Forward, LosesNothingToASlowSinkWhenItIsContinued) {
  constexpr std::uint32_t total = 5000;
  std::uint32_t sent = 0, continued = 0;
  std::size_t forwarded = 0;
  while (arrived < total) {
    while (sent < total && send(sent)) ++sent;
    RxBurst burst = in().receive(received);
    while (!burst.empty()) {
      const std::size_t before = burst.size(), now = out().forward(burst);
      ASSERT_EQ(burst.size(), before - now);
      forwarded += now;
      continued += burst.empty() ? 0 : 1;
      ASSERT_NO_FATAL_FAILURE(drain(4 + sent % 3));
    }
    ASSERT_NO_FATAL_FAILURE(drain(4));
  }
  EXPECT_EQ(forwarded, total);
  EXPECT_GT(continued, 100u) << "the sink was not slow";
  EXPECT_EQ(out().counters().packets.get(), total);
  EXPECT_EQ(out().counters().rejected.get(), 0u);
}

TEST_P(Forward, LeavesWhatThereIsNoRoomFor) {
  for (std::uint32_t i = 1; i < 4; ++i) ASSERT_TRUE(send(i));
  ASSERT_EQ(in().receive(received).size(), 3u);  // and back
  while (out().send_copy(std::array<std::byte, 60>{})) {
  }
  for (std::uint32_t i = 1; i < 4; ++i) ASSERT_TRUE(send(i));
  RxBurst burst = in().receive(received);
  EXPECT_EQ(out().forward(burst), 0u);
  EXPECT_EQ(out().forward(burst), 0u);
  EXPECT_EQ(burst.size(), 3u);
  EXPECT_EQ(out().counters().rejected.get(), 0u);
  burst.release();
  EXPECT_EQ(in().raw().held(), 0u);
}

// The application made them so. They do not keep back what comes after them.
TEST_P(Forward, PassesOverPacketsThatCannotBeSent) {
  for (std::uint32_t i = 0; i < 6; ++i) ASSERT_TRUE(send(i));
  RxBurst burst = in().receive(received);
  ASSERT_EQ(burst.size(), 6u);
  const std::array<std::size_t, 2> empty{0, 3};
  std::size_t i = 0;
  for (Packet packet : burst) {
    if (std::find(empty.begin(), empty.end(), i++) != empty.end())
      for (Buffer& buffer : packet.buffers()) buffer.resize(0);
  }
  EXPECT_EQ(out().forward(burst), 4u);
  EXPECT_TRUE(burst.empty());
  EXPECT_EQ(out().counters().rejected.get(), 2u);
  for (const std::uint32_t number : {1u, 2u, 4u, 5u}) {
    arrived = number;
    ASSERT_NO_FATAL_FAILURE(drain(number == 5 ? 4 : 1));
    EXPECT_EQ(arrived, number + 1);
  }
  // Each buffer is in one place: all of them can still be filled and sent.
  burst.release();
  for (std::uint32_t round = 0; round < 40; ++round) {
    ASSERT_TRUE(send(arrived));
    RxBurst next = in().receive(received);
    ASSERT_EQ(out().forward(next), 1u);
    ASSERT_NO_FATAL_FAILURE(drain(4));
  }
}

INSTANTIATE_TEST_SUITE_P(Both, Forward, testing::Values(Way{"Exchanging", true}, Way{"Copying", false}),
                         [](const auto& instance) { return instance.param.name; });

// Whatever the sink does, they never fit: 9 KiB into a ring of 8 buffers of 256 bytes.
TEST(ForwardLong, PassesOverWhatIsLongerThanTheRing) {
  Pair large({.socket = "", .ring_size = 64, .buffer_size = 2048});
  Pair small({.socket = "", .ring_size = 8, .buffer_size = 256});
  ASSERT_TRUE(large.connect());
  ASSERT_TRUE(small.connect());
  for (const bool to_server : {true, false}) {
    TxQueue& out = to_server ? small.client->tx(0) : small.server->tx(0);
    RxQueue& sink = to_server ? small.server->rx(0) : small.client->rx(0);
    for (const std::size_t size : {std::size_t{60}, std::size_t{9000}, std::size_t{70}})
      ASSERT_TRUE(large.server->tx(0).send_copy(std::vector<std::byte>(size)));
    std::array<Buffer, 16> received, drained;
    RxBurst burst = large.client->rx(0).receive(received);
    ASSERT_EQ(burst.size(), 3u);
    std::vector<std::size_t> sizes;
    for (int round = 0; round < 3 && !burst.empty(); ++round) {
      out.forward(burst);
      for (const Packet packet : sink.receive(drained)) sizes.push_back(packet.size());
    }
    EXPECT_TRUE(burst.empty());
    EXPECT_EQ(sizes, (std::vector<std::size_t>{60, 70}));
    EXPECT_EQ(out.counters().rejected.get(), 1u);
  }
}

}  // namespace
}  // namespace memif
