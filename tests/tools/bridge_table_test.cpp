#include "bridge_table.hpp"

#include <gtest/gtest.h>

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

TEST(MacTable, AFullTableKeepsWhatItHas) {
  MacTable table(300s, 2);
  table.learn(a, 1, start);
  table.learn(b, 2, start);
  table.learn(c, 3, start + 10s);
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.find(a, start + 10s), 1u);
  EXPECT_EQ(table.find(c, start + 10s), std::nullopt);
}

TEST(MacTable, AFullTableLearnsAgainOnceOthersAreOld) {
  MacTable table(300s, 2);
  table.learn(a, 1, start);
  table.learn(b, 2, start + 299s);
  table.learn(c, 3, start + 301s);
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.find(b, start + 301s), 2u);
  EXPECT_EQ(table.find(c, start + 301s), 3u);
}

}  // namespace
}  // namespace memif::tool
