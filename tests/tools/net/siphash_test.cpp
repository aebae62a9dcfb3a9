#include "net/siphash.hpp"

#include <gtest/gtest.h>

namespace memif::tool {
namespace {

// The published test vector of SipHash-2-4: key 00..0f, message 00..0e.
TEST(SipHash, TheStateIsThatOfThePaper) {
  SipState state({0x0706050403020100, 0x0f0e0d0c0b0a0908});
  state.add(0x0706050403020100, 2);
  state.add(0x0f'0e0d0c0b0a0908, 2);  // the length, and the seven bytes that are left
  EXPECT_EQ(state.finish(4), 0xa129ca6149be45e5);
}

// Python hashes bytes by SipHash-1-3, with an all zero key where PYTHONHASHSEED is 0.
TEST(SipHash, ANumberIsHashedByOneAndThreeRounds) {
  EXPECT_EQ(siphash({0, 0}, 0x0706050403020100), 0xead411e67ebe2eea);
}

TEST(SipHash, KeysAreRandom) { EXPECT_NE(random_sip_key(), random_sip_key()); }

}  // namespace
}  // namespace memif::tool
