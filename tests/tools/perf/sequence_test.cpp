#include "perf/sequence.hpp"

#include <gtest/gtest.h>

namespace memif::tool {
namespace {

using Arrival = PerfSequence::Arrival;

TEST(PerfSequence, InOrderEachIsTheFirst) {
  PerfSequence sequence;
  for (std::uint64_t i = 0; i < 3 * PerfSequence::window; ++i) ASSERT_EQ(sequence.note(i), Arrival::first);
  EXPECT_EQ(sequence.expected(), 3 * PerfSequence::window);
}

TEST(PerfSequence, WhatWasSkippedMayComeOnce) {
  PerfSequence sequence;
  EXPECT_EQ(sequence.note(0), Arrival::first);
  EXPECT_EQ(sequence.note(1000), Arrival::first);
  EXPECT_EQ(sequence.note(500), Arrival::late);
  EXPECT_EQ(sequence.note(500), Arrival::duplicate);
  EXPECT_EQ(sequence.note(1000), Arrival::duplicate);
  EXPECT_EQ(sequence.note(0), Arrival::duplicate);
  EXPECT_EQ(sequence.expected(), 1001u);
}

TEST(PerfSequence, KnowsAllOfItsWindow) {
  for (const std::uint64_t begin : {0u, 1u, 63u, 64u, 65u, 1000u}) {
    PerfSequence sequence;
    sequence.note(begin);
    const std::uint64_t last = begin + PerfSequence::window - 64;
    sequence.note(last);
    EXPECT_EQ(sequence.note(begin), Arrival::duplicate) << begin;
    for (std::uint64_t i = begin + 1; i < last; ++i) ASSERT_EQ(sequence.note(i), Arrival::late) << begin << ' ' << i;
    for (std::uint64_t i = begin; i <= last; ++i) ASSERT_EQ(sequence.note(i), Arrival::duplicate) << begin << ' ' << i;
  }
}

TEST(PerfSequence, WhatIsLaterThanTheWindowHidesNoLoss) {
  PerfSequence sequence;
  sequence.note(0);
  sequence.note(2 * PerfSequence::window);
  EXPECT_EQ(sequence.note(1), Arrival::duplicate);
  EXPECT_EQ(sequence.note(2 * PerfSequence::window - 1), Arrival::late);
}

TEST(PerfSequence, AnyJumpForwardForgetsWhatLeavesTheWindow) {
  for (std::uint64_t jump = 1; jump < PerfSequence::most / 2; jump *= 3) {
    PerfSequence sequence;
    for (std::uint64_t i = 0; i < PerfSequence::window; i += 7) sequence.note(i);
    const std::uint64_t to = sequence.expected() + jump;
    EXPECT_EQ(sequence.note(to), Arrival::first);
    EXPECT_EQ(sequence.note(to - 1), Arrival::late) << jump;
    EXPECT_EQ(sequence.note(to - 1), Arrival::duplicate) << jump;
  }
  PerfSequence sequence;
  EXPECT_EQ(sequence.note(PerfSequence::most), Arrival::first);
}

}  // namespace
}  // namespace memif::tool
