// When a client tries again, by a clock that is the test's.
#include "control/backoff.hpp"

#include <chrono>
#include <gtest/gtest.h>
#include <optional>

namespace memif::detail {
namespace {

using namespace std::chrono_literals;

class BackoffTest : public testing::Test {
 protected:
  // How long until the next attempt; time passes until then.
  Clock::duration wait(Backoff& backoff) {
    const std::optional<Clock::time_point> next = backoff.next(now_);
    EXPECT_TRUE(next);
    const Clock::duration waited = next.value_or(now_) - now_;
    now_ += waited;
    return waited;
  }
  // A peer that is back after that time, and a link that lasts so long.
  void link_for(Backoff& backoff, Clock::duration lasting) {
    backoff.came_up(now_);
    now_ += lasting;
  }

  Clock::time_point now_{1000h};
};

TEST_F(BackoffTest, TriesAgainAtOnceThenHalfAsOftenEachTimeUpToThePeriod) {
  Backoff backoff(100ms);
  for (const Clock::duration expected : {0ms, 10ms, 20ms, 40ms, 80ms, 100ms, 100ms}) EXPECT_EQ(wait(backoff), expected);
}

TEST_F(BackoffTest, WithoutAPeriodDoesNotTryAgainWhateverHappens) {
  Backoff backoff(0ms);
  EXPECT_FALSE(backoff.next(now_));
  backoff.came_up(now_);
  backoff.lost(now_ + 1h);
  EXPECT_FALSE(backoff.next(now_ + 1h));
  backoff.refused();
  EXPECT_FALSE(backoff.next(now_));
  backoff.put_off();
  EXPECT_FALSE(backoff.next(now_));
}

TEST_F(BackoffTest, AtOnceAfterALinkThatLasted) {
  Backoff backoff(100ms);
  for (int i = 0; i < 5; ++i) wait(backoff);
  link_for(backoff, Backoff::settled + 1ms);
  backoff.lost(now_);
  EXPECT_EQ(wait(backoff), 0ms);
  EXPECT_EQ(wait(backoff), Backoff::first) << "and from there anew";
}

TEST_F(BackoffTest, NotAtOnceAfterALinkThatDidNotLast) {
  Backoff backoff(100ms);
  for (int i = 0; i < 5; ++i) {
    link_for(backoff, Backoff::settled);
    backoff.lost(now_);
    EXPECT_EQ(wait(backoff), Backoff::first) << "each link is a success all the same";
  }
}

TEST_F(BackoffTest, NotAtOnceAfterARefusalAndEachIsFurtherAway) {
  Backoff backoff(1s);
  for (const Clock::duration expected : {10ms, 20ms, 40ms}) {
    backoff.refused();
    EXPECT_EQ(wait(backoff), expected);
  }
}

TEST_F(BackoffTest, AfterAWholePeriodWhereThisSideEndedTheLink) {
  Backoff backoff(1s);
  link_for(backoff, 1h);
  backoff.put_off();
  backoff.refused();  // the link's end is no loss
  EXPECT_EQ(wait(backoff), 1s);
}

// As a program says that wants to be back within a millisecond.
TEST_F(BackoffTest, NeverLaterThanThePeriod) {
  Backoff backoff(1ms);
  backoff.refused();
  EXPECT_EQ(wait(backoff), 1ms);
  link_for(backoff, 0ms);
  backoff.lost(now_);
  EXPECT_EQ(wait(backoff), 1ms);
  EXPECT_EQ(wait(backoff), 1ms);
}

}  // namespace
}  // namespace memif::detail
