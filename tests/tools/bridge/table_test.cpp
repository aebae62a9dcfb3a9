#include "bridge/table.hpp"

#include <gtest/gtest.h>
#include <unordered_map>

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

constexpr Mac a{2, 0, 0, 0, 0, 0xa}, b{2, 0, 0, 0, 0, 0xb}, c{2, 0, 0, 0, 0, 0xc};
constexpr MacTable::Time start{};

TEST(MacTable, FindsWhatItLearnt) {
  MacTable table(300s);
  table.learn(a, 1, start);
  table.learn(b, 2, start);
  EXPECT_EQ(table.find(a, start), 1u);
  EXPECT_EQ(table.find(b, start), 2u);
  EXPECT_EQ(table.find(c, start), std::nullopt);
}

TEST(MacTable, ForgetsAfterItsAge) {
  MacTable table(300s);
  table.learn(a, 1, start);
  EXPECT_EQ(table.find(a, start + 299s), 1u);
  EXPECT_EQ(table.find(a, start + 300s), std::nullopt);
}

TEST(MacTable, SeeingAnAddressKeepsIt) {
  MacTable table(300s);
  table.learn(a, 1, start);
  table.learn(a, 1, start + 200s);
  EXPECT_EQ(table.find(a, start + 499s), 1u);
  EXPECT_EQ(table.moves(), 0u);
}

TEST(MacTable, AnAddressMovesToWhereItWasSeenLast) {
  MacTable table(300s);
  table.learn(a, 1, start);
  table.learn(a, 2, start + 1s);
  EXPECT_EQ(table.find(a, start + 1s), 2u);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.moves(), 1u);
}

TEST(MacTable, GroupAddressesAreNeverLearnt) {
  MacTable table(300s);
  table.learn(broadcast_mac, 1, start);
  table.learn(Mac{0x33, 0x33, 0, 0, 0, 1}, 1, start);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.find(broadcast_mac, start), std::nullopt);
}

TEST(MacTable, APortWithAllItsAddressesKeepsWhatItHas) {
  MacTable table(300s, 2);
  table.learn(a, 1, start);
  table.learn(b, 1, start);
  table.learn(c, 1, start + 10s);
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.find(a, start + 10s), 1u);
  EXPECT_EQ(table.find(b, start + 10s), 1u);
  EXPECT_EQ(table.find(c, start + 10s), std::nullopt);
}

TEST(MacTable, APortWithAllItsAddressesLeavesTheOthersTheirs) {
  MacTable table(300s, 2);
  table.learn(a, 1, start);
  table.learn(b, 1, start);
  table.learn(c, 2, start + 10s);
  EXPECT_EQ(table.find(c, start + 10s), 2u);
}

TEST(MacTable, APortLearnsAgainOnceItsAddressesAreOld) {
  MacTable table(300s, 2);
  table.learn(a, 1, start);
  table.learn(b, 1, start + 299s);
  table.learn(c, 1, start + 301s);
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.find(b, start + 301s), 1u);
  EXPECT_EQ(table.find(c, start + 301s), 1u);
}

TEST(MacTable, APortLearnsAgainWhileOthersGoOnSending) {
  MacTable table(300s, 2);
  table.learn(a, 1, start);
  table.learn(b, 1, start);
  MacTable::Time now = start + 300s;
  for (; !table.find(c, now) && now < start + 310s; now += 1ms) {
    table.learn(Mac{2, 0, 0, 0, 0, 0xd}, 2, now);
    table.learn(c, 1, now);
  }
  EXPECT_LE(now, start + 302s);
}

TEST(MacTable, WhatMovesToAPortWithAllItsAddressesIsForgotten) {
  MacTable table(300s, 1);
  table.learn(a, 1, start);
  table.learn(b, 2, start);
  table.learn(a, 2, start);
  EXPECT_EQ(table.find(a, start), std::nullopt);
  EXPECT_EQ(table.find(b, start), 2u);
  table.learn(c, 1, start);  // which has room again
  EXPECT_EQ(table.find(c, start), 1u);
}

Mac mac_of(std::uint64_t number) {
  Mac mac;
  for (std::size_t i = 0; i < mac.size(); ++i) mac[i] = static_cast<std::uint8_t>(number >> (8 * (mac.size() - 1 - i)));
  return mac;
}

// Addresses that all lie in one bucket of a table that has their number for a hash, as it is when it is nearly full. A
// switch took half a minute to learn them, and each frame to or from one of them most of a millisecond.
TEST(MacTable, AddressesThatSomebodyChoseTakeNoLongerThanOthers) {
  constexpr std::size_t count = 65536;
  std::unordered_map<std::uint64_t, int> like;
  for (std::uint64_t i = 0; i < count; ++i) like[i] = 0;
  const std::uint64_t step = like.bucket_count();
  MacTable table(300s, count);
  const auto began = std::chrono::steady_clock::now();
  std::size_t learnt = 0;
  for (std::uint64_t i = 1; learnt < count; ++i) {
    const Mac mac = mac_of(i * step);
    if ((mac[0] & 1) != 0) continue;
    table.learn(mac, 1, start);
    ++learnt;
  }
  EXPECT_EQ(table.size(), count);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
}

}  // namespace
}  // namespace memif::tool
