// The bookkeeping of deferred calls: whose turn it is, and what has room. No threads, and no system calls.
#include "base/lane.hpp"

#include <chrono>
#include <cstddef>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

namespace memif::deferred {
namespace {

using namespace std::chrono_literals;

constexpr uid_t bad = 4000, good = 4001;
constexpr Lane::Limits limits{.threads = 3, .threads_of_a_user = 2};

class LaneTest : public testing::Test {
 protected:
  bool add(uid_t user, int fd, Call call = Call::close, std::size_t size = 0) {
    return lane_.add({.call = call, .user = user, .fd = fd, .size = size}, false);
  }
  // A thread that takes what it may, or none.
  Lane::Worker* take(const Lane::Limits& how = limits) {
    Lane::Worker* const worker = lane_.free_worker();
    if (worker == nullptr || !lane_.take(*worker, how)) return nullptr;
    worker->taken = true;
    return worker;
  }
  void finish(Lane::Worker& worker) {
    lane_.finish(worker);
    worker = {};
  }

  const std::unique_ptr<Lane> owned_ = std::make_unique<Lane>();  // too long for a stack
  Lane& lane_ = *owned_;
};

TEST_F(LaneTest, WhoeverCameFirstIsServedFirst) {
  for (int fd = 1; fd <= 3; ++fd) ASSERT_TRUE(add(good, fd));
  EXPECT_TRUE(lane_.has_next(limits));
  for (int fd = 1; fd <= 3; ++fd) {
    Lane::Worker* const worker = take();
    ASSERT_NE(worker, nullptr);
    EXPECT_EQ(worker->job.fd, fd);
    finish(*worker);
  }
  EXPECT_FALSE(lane_.has_next(limits));
  EXPECT_TRUE(lane_.idle());
}

TEST_F(LaneTest, AUserWhoHasItsShareOfThreadsLetsOthersPass) {
  for (int fd = 1; fd <= 3; ++fd) ASSERT_TRUE(add(bad, fd));
  ASSERT_TRUE(add(good, 4));
  Lane::Worker* const first = take();
  ASSERT_NE(first, nullptr);
  ASSERT_NE(take(), nullptr);
  Lane::Worker* const passing = take();
  ASSERT_NE(passing, nullptr);
  EXPECT_EQ(passing->job.user, good);
  EXPECT_EQ(take(), nullptr) << "the third of the first user's waits";
  finish(*first);
  finish(*passing);
  Lane::Worker* const third = take();
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(third->job.fd, 3);
}

TEST_F(LaneTest, TheOrderHoldsOverTheTablesEndAndWhenOneLeavesFromTheMiddle) {
  int next = 0, expected = 0;
  for (std::size_t round = 0; round < Lane::capacity / 2; ++round) {
    for (int n = 0; n < 5; ++n) ASSERT_TRUE(add(bad, next++));
    ASSERT_TRUE(add(good, -1, Call::signal));
    ASSERT_TRUE(lane_.forget(-1));
    for (int n = 0; n < 5; ++n) {
      Lane::Worker* const worker = take();
      ASSERT_NE(worker, nullptr);
      ASSERT_EQ(worker->job.fd, expected++);
      finish(*worker);
    }
  }
  EXPECT_TRUE(lane_.idle());
}

TEST_F(LaneTest, WhoWaitsForAThreadOfItsUserIsLookedAtAgainWhenOneHasFinished) {
  Lane::Worker* worker = nullptr;
  for (int fd = 0; fd < 6; ++fd) ASSERT_TRUE(add(bad, fd));
  while (Lane::Worker* const one = take()) worker = one;
  EXPECT_FALSE(lane_.has_next(limits));
  ASSERT_TRUE(add(bad, 6));
  EXPECT_FALSE(lane_.has_next(limits)) << "nor may one that came later";
  finish(*worker);
  EXPECT_TRUE(lane_.has_next(limits));
  worker = take();
  ASSERT_NE(worker, nullptr);
  EXPECT_EQ(worker->job.fd, 2);
  EXPECT_EQ(lane_.take_last().fd, 6);
  EXPECT_FALSE(lane_.has_next(limits));
}

TEST_F(LaneTest, AUserWithoutAThreadGetsOneBeyondThoseThatAreShared) {
  for (uid_t user = 1; user <= 5; ++user) {
    ASSERT_TRUE(add(user, 1));
    ASSERT_TRUE(add(user, 2));
  }
  std::vector<uid_t> users;
  while (const Lane::Worker* const worker = take()) users.push_back(worker->job.user);
  EXPECT_EQ(users, (std::vector<uid_t>{1, 1, 2, 3, 4, 5}));
}

TEST_F(LaneTest, HasNoMoreThreadsThanThereCanBe) {
  for (uid_t user = 0; user <= Lane::most_threads; ++user) ASSERT_TRUE(add(user, 1));
  for (std::size_t i = 0; i < Lane::most_threads; ++i) ASSERT_NE(take(), nullptr) << i;
  EXPECT_EQ(lane_.free_worker(), nullptr);
  EXPECT_FALSE(lane_.has_next(limits));
  EXPECT_EQ(lane_.outstanding(), Lane::most_threads + 1);
  EXPECT_FALSE(lane_.idle());
}

TEST_F(LaneTest, KeepsAPlaceForWhatWasPromisedOne) {
  ASSERT_TRUE(lane_.promise());
  while (lane_.room() != 0) ASSERT_TRUE(add(bad, 1));
  EXPECT_FALSE(add(bad, 2));
  EXPECT_FALSE(lane_.promise());
  EXPECT_TRUE(lane_.add({.call = Call::close, .user = good, .fd = 3}, true));
  EXPECT_EQ(lane_.outstanding(), Lane::capacity);
  EXPECT_EQ(lane_.take_last().fd, 3);
  EXPECT_EQ(lane_.room(), 1u) << "the promise was kept, and is no more";
  ASSERT_TRUE(lane_.promise());
  lane_.give_back();
  EXPECT_TRUE(add(good, 4));
}

TEST_F(LaneTest, ASignalThatWaitsCanBeForgotten) {
  ASSERT_TRUE(add(good, 5, Call::close));
  ASSERT_TRUE(add(good, 5, Call::signal));
  EXPECT_TRUE(lane_.waits(5));
  EXPECT_FALSE(lane_.waits(6));
  EXPECT_TRUE(lane_.forget(5));
  EXPECT_FALSE(lane_.forget(5));
  EXPECT_EQ(lane_.count(Call::signal), 0u);
  EXPECT_EQ(lane_.count(Call::close), 1u) << "which is no signal";
}

TEST_F(LaneTest, ADescriptorIsSignalledByOneThreadAtATime) {
  ASSERT_TRUE(add(good, 5, Call::signal));
  Lane::Worker* const at_it = take();
  ASSERT_NE(at_it, nullptr);
  EXPECT_EQ(lane_.signalling(5), at_it);
  EXPECT_FALSE(lane_.waits(5));
  ASSERT_TRUE(add(good, 5, Call::signal));
  ASSERT_TRUE(add(good, 6, Call::signal));
  Lane::Worker* const other = take();
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(other->job.fd, 6);
  finish(*at_it);
  finish(*other);
  EXPECT_EQ(lane_.signalling(5), nullptr);
  EXPECT_NE(take(), nullptr);
}

TEST_F(LaneTest, BytesAndCallsCountUntilTheyAreDone) {
  ASSERT_TRUE(add(bad, 0, Call::unmap, 4096));
  ASSERT_TRUE(add(bad, 0, Call::unmap, 8192));
  ASSERT_TRUE(add(good, 0, Call::unmap, 1));
  Lane::Worker* const at_it = take();
  ASSERT_NE(at_it, nullptr);
  EXPECT_EQ(lane_.bytes_of(bad), 4096u + 8192u);
  EXPECT_EQ(lane_.bytes_of(good), 1u);
  EXPECT_EQ(lane_.count(Call::unmap), 3u);
  finish(*at_it);
  EXPECT_EQ(lane_.bytes_of(bad), 8192u);
  EXPECT_EQ(lane_.count(Call::unmap), 2u);
}

TEST_F(LaneTest, ManyStrangeOnesOfAUserAreTooManyAtOnce) {
  constexpr Lane::Limits strange{.threads = 3, .threads_of_a_user = 2, .strange = true};
  for (int fd = 0; fd < 63; ++fd) ASSERT_TRUE(add(bad, fd));
  for (int fd = 0; fd < 63; ++fd) ASSERT_TRUE(add(good, fd));
  EXPECT_FALSE(lane_.crowded_by(bad, strange));
  ASSERT_TRUE(add(bad, 63));
  EXPECT_TRUE(lane_.crowded_by(bad, strange));
  EXPECT_FALSE(lane_.crowded_by(good, strange));
}

TEST_F(LaneTest, ManyOthersAreTooManyOnlyOnceOneTakesLong) {
  ASSERT_TRUE(add(bad, 0));
  ASSERT_TRUE(add(good, 0));
  Lane::Worker* const of_bad = take();
  Lane::Worker* const of_good = take();
  ASSERT_TRUE(of_bad != nullptr && of_good != nullptr);
  of_bad->job.since = Clock::now() + 1h;  // whatever time the test takes
  of_good->job.since = Clock::now() - 1h;
  const auto begun = Clock::now();
  for (int fd = 0; fd < 64; ++fd) ASSERT_TRUE(add(bad, fd));
  const bool crowded = lane_.crowded_by(bad, limits);
  EXPECT_TRUE(!crowded || Clock::now() - begun > 100ms) << "what another user's take is not this one's";
  of_bad->job.since = Clock::now() - 1h;
  EXPECT_TRUE(lane_.crowded_by(bad, limits));
}

TEST_F(LaneTest, AChildOfAForkHasTheJobsAndNoneOfTheThreads) {
  ASSERT_TRUE(add(good, 1));
  ASSERT_TRUE(add(good, 2));
  ASSERT_NE(take(), nullptr);
  lane_.threads = lane_.sleeping = 1;
  lane_.forget_threads();
  EXPECT_EQ(lane_.threads + lane_.sleeping, 0u);
  EXPECT_TRUE(lane_.used_workers().empty());
  EXPECT_EQ(lane_.outstanding(), 1u);
  lane_.forget_jobs();
  EXPECT_TRUE(lane_.idle());
}

}  // namespace
}  // namespace memif::deferred
