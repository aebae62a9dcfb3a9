// A pool's buffers: each has one owner at a time, and all come back.
#include <array>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <set>
#include <vector>

#include <memif/pool.hpp>

#include "memory/pool_memory.hpp"

namespace memif {
namespace {

std::shared_ptr<Pool> make(std::size_t buffers, std::uint32_t size = 2048) {
  auto pool = Pool::create({.buffers = buffers, .buffer_size = size});
  EXPECT_TRUE(pool) << pool.error().message;
  return pool ? *pool : nullptr;
}

TEST(Pool, HandsOutEachBufferOnceAndNoneBeyondTheMemory) {
  const auto pool = make(100, 100);
  std::vector<std::uint32_t> offsets(100);
  ASSERT_TRUE(pool->memory().take(offsets));
  const std::set<std::uint32_t> different(offsets.begin(), offsets.end());
  EXPECT_EQ(different.size(), 100u);
  const auto region = pool->memory().lend();
  ASSERT_TRUE(region);
  EXPECT_LE(*different.rbegin() + 100u, region->size());
  for (auto one = different.begin(), next = std::next(one); next != different.end(); ++one, ++next)
    ASSERT_GE(*next - *one, 100u) << "they overlap";
}

TEST(Pool, GivesAllThatWasAskedForOrNothing) {
  const auto pool = make(10);
  std::array<std::uint32_t, 6> first{}, second{};
  EXPECT_TRUE(pool->memory().take(first));
  EXPECT_FALSE(pool->memory().take(second));
  EXPECT_EQ(pool->free(), 4u);
  EXPECT_EQ(pool->buffers(), 10u);
}

TEST(Pool, TakesBackBuffersWhereverTheirPacketsBegan) {
  const auto pool = make(4, 1000);
  std::array<std::uint32_t, 4> offsets{}, again{};
  ASSERT_TRUE(pool->memory().take(offsets));
  const std::set<std::uint32_t> starts(offsets.begin(), offsets.end());
  offsets[0] += 1;
  offsets[3] += 999;
  pool->memory().give_back(offsets);
  ASSERT_TRUE(pool->memory().take(again));
  EXPECT_EQ(std::set<std::uint32_t>(again.begin(), again.end()), starts);
}

TEST(Pool, LendsOneMemoryToAll) {
  const auto pool = make(4);
  const auto one = pool->memory().lend();
  std::byte* data = nullptr;
  {
    const auto other = pool->memory().lend();
    ASSERT_TRUE(one);
    ASSERT_TRUE(other);
    data = other->data();
    EXPECT_EQ(other->fd(), one->fd());
  }
  EXPECT_EQ(one->data(), data);
  data[0] = std::byte{42};  // still there, though a borrower has gone
  EXPECT_EQ(one->data()[0], std::byte{42});
}

TEST(Pool, IsRefusedWithTheFieldAndItsRange) {
  const auto message = [](const PoolConfig& config) {
    const auto pool = Pool::create(config);
    return pool ? std::string("accepted") : pool.error().message;
  };
  EXPECT_EQ(message({}), "buffers 0: must be from 1 to 2033601");
  EXPECT_EQ(message({.buffers = 2033602}), "buffers 2033602: must be from 1 to 2033601");
  EXPECT_EQ(message({.buffers = 1, .buffer_size = 0}), "buffer_size 0: must be from 1 to 1048576");
  EXPECT_EQ(message({.buffers = 1, .buffer_size = (1u << 20) + 1}), "buffer_size 1048577: must be from 1 to 1048576");
}

TEST(Pool, CountsABufferForEachDescriptorOfALink) {
  EXPECT_EQ(Pool::buffers_for({.rx_queues = 2, .tx_queues = 3, .ring_size = 64}), 5u * 64u);
}

}  // namespace
}  // namespace memif
