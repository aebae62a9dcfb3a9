// The place from which callbacks run: descriptors, timers, and what is freed afterwards. The loop is the test's.
#include "control/reactor.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "memory/interrupt.hpp"

namespace memif::detail {
namespace {

using namespace std::chrono_literals;

class FakeLoop final : public EventLoop {
 public:
  Status add(int fd, unsigned) override {
    if (throws) throw std::bad_alloc();
    if (refuses || !watched.insert(fd).second) return Error{std::make_error_code(std::errc::file_exists), "refused"};
    return Nothing{};
  }
  Status change(int, unsigned) override { return Nothing{}; }
  void remove(int fd) noexcept override {
    watched.erase(fd);
    ++removed;
  }
  void set_timer(std::optional<Clock::time_point> when) noexcept override {
    timer = when;
    ++timer_calls;
  }

  bool refuses = false, throws = false;
  std::set<int> watched;
  int removed = 0;
  std::optional<Clock::time_point> timer;
  int timer_calls = 0;
};

struct Called final : Handler {
  explicit Called(std::function<void()> what = [] {}) : body(std::move(what)) {}
  void on_ready() override {
    ++times;
    body();
  }
  std::function<void()> body;
  int times = 0;
};

// Says when it is freed.
struct Freed final : Handler {
  explicit Freed(std::function<void()> what) : body(std::move(what)) {}
  ~Freed() override { body(); }
  void on_ready() override {}
  std::function<void()> body;
};

class ReactorTest : public testing::Test {
 protected:
  static constexpr Clock::time_point past{1h};
  const Clock::time_point future_ = Clock::now() + 1h;

  // A timer that writes its name down.
  std::unique_ptr<Timer> timer(const char* name) {
    return std::make_unique<Timer>(reactor_, [this, name] { fired_ += name; });
  }

  FakeLoop loop_;
  Reactor reactor_{loop_};
  std::string fired_;
};

TEST_F(ReactorTest, ADescriptorThatIsReadyReachesItsHandlerAndNoOther) {
  Called one, two;
  ASSERT_TRUE(reactor_.watch(10, event_read, one));
  ASSERT_TRUE(reactor_.watch(11, event_read, two));
  reactor_.handle(11);
  reactor_.handle(12);  // nobody's
  EXPECT_EQ(one.times, 0);
  EXPECT_EQ(two.times, 1);
}

TEST_F(ReactorTest, WhatIsNoLongerWatchedIsForgottenByTheLoopToo) {
  Called handler;
  ASSERT_TRUE(reactor_.watch(10, event_read, handler));
  reactor_.unwatch(10);
  reactor_.handle(10);
  EXPECT_EQ(handler.times, 0);
  EXPECT_EQ(loop_.removed, 1);
  reactor_.unwatch(10);
  EXPECT_EQ(loop_.removed, 1) << "the number may be another's by now";
}

TEST_F(ReactorTest, AHandlerWhoseDescriptorIsRefusedIsNotCalled) {
  Called handler;
  loop_.refuses = true;
  EXPECT_FALSE(reactor_.watch(10, event_read, handler));
  loop_.throws = true;
  EXPECT_THROW(static_cast<void>(reactor_.watch(10, event_read, handler)), std::bad_alloc);
  reactor_.handle(10);
  EXPECT_EQ(handler.times, 0);
}

TEST_F(ReactorTest, ADescriptorThatIsWatchedAlreadyStaysWithItsHandler) {
  Called first, second;
  ASSERT_TRUE(reactor_.watch(10, event_read, first));
  EXPECT_FALSE(reactor_.watch(10, event_read, second));
  reactor_.handle(10);
  EXPECT_EQ(first.times, 1);
  EXPECT_EQ(second.times, 0);
}

TEST_F(ReactorTest, TimersThatAreDueFireInTheOrderOfTheirTimes) {
  const auto a = timer("a"), b = timer("b"), c = timer("c"), d = timer("d");
  c->set(past + 3s);
  a->set(past + 1s);
  d->set(future_);
  b->set(past + 2s);
  reactor_.handle_timer();
  EXPECT_EQ(fired_, "abc");
  EXPECT_FALSE(a->pending());
  EXPECT_TRUE(d->pending());
  reactor_.handle_timer();
  EXPECT_EQ(fired_, "abc") << "once each";
}

TEST_F(ReactorTest, TheLoopKnowsTheFirstOfAllTimesAndIsToldOnlyWhenThatChanges) {
  const auto a = timer("a"), b = timer("b");
  a->set(future_);
  EXPECT_EQ(loop_.timer, future_);
  b->set(future_ + 1s);
  EXPECT_EQ(loop_.timer_calls, 1);
  b->set(future_ - 1s);
  EXPECT_EQ(loop_.timer, future_ - 1s);
  b->set(std::nullopt);
  EXPECT_EQ(loop_.timer, future_);
  a->set(std::nullopt);
  EXPECT_FALSE(loop_.timer);
  EXPECT_EQ(loop_.timer_calls, 4);
}

// A loop's timer fires once: what it was set to is no more.
TEST_F(ReactorTest, TheLoopIsToldAgainOfATimeThatIsStillToComeAfterItsTimerFired) {
  const auto a = timer("a");
  a->set(future_);
  loop_.timer.reset();
  reactor_.handle_timer();
  EXPECT_EQ(loop_.timer, future_);
}

TEST_F(ReactorTest, ATimerMaySetItselfOrEndAnotherWhenItFires) {
  auto victim = timer("victim");
  std::optional<Timer> again;
  again.emplace(reactor_, [&] {
    fired_ += "again";
    EXPECT_FALSE(again->pending());
    again->set(future_);
    victim.reset();
  });
  again->set(past);
  victim->set(past + 1s);
  reactor_.handle_timer();
  EXPECT_EQ(fired_, "again");
  EXPECT_TRUE(again->pending());
  EXPECT_EQ(loop_.timer, future_);
}

TEST_F(ReactorTest, WhatIsFreedLaterInACallbackIsThereUntilTheOutermostHasReturned) {
  bool freed = false;
  Called inner([&] { reactor_.free_later(std::make_unique<Freed>([&] { freed = true; })); });
  Called outer([&] {
    reactor_.handle(11);
    EXPECT_FALSE(freed);
  });
  ASSERT_TRUE(reactor_.watch(10, event_read, outer));
  ASSERT_TRUE(reactor_.watch(11, event_read, inner));
  reactor_.handle(10);
  EXPECT_EQ(inner.times, 1);
  EXPECT_TRUE(freed);
}

TEST_F(ReactorTest, WhatIsFreedMayBuryMore) {
  int freed = 0;
  {
    const Reactor::Scope scope(reactor_);
    reactor_.free_later(std::make_unique<Freed>([&] {
      ++freed;
      reactor_.free_later(std::make_unique<Freed>([&] { ++freed; }));
    }));
    reactor_.free_later(std::make_unique<Freed>([&] { ++freed; }));
    EXPECT_EQ(freed, 0);
  }
  EXPECT_EQ(freed, 3);
}

TEST_F(ReactorTest, ACallbackThatThrowsLeavesNothingUnfreed) {
  bool freed = false;
  Called handler([&] {
    reactor_.free_later(std::make_unique<Freed>([&] { freed = true; }));
    throw std::runtime_error("the application's");
  });
  ASSERT_TRUE(reactor_.watch(10, event_read, handler));
  EXPECT_THROW(reactor_.handle(10), std::runtime_error);
  EXPECT_TRUE(freed);
}

// The loop's timer is the parent's then.
TEST_F(ReactorTest, OneThatIsAbandonedLeavesTheLoopsTimerAlone) {
  const auto a = timer("a");
  a->set(future_);
  reactor_.abandon();
  a->set(std::nullopt);
  EXPECT_EQ(loop_.timer, future_);
  EXPECT_EQ(loop_.timer_calls, 1);
}

TEST(WakerTest, SaysWhyAndWaitsForNobodyHoweverOftenItWakes) {
  Waker waker;
  waker.event = make_interrupt().value();
  const std::uint64_t full = ~std::uint64_t{0} - 1;
  ASSERT_EQ(::write(waker.event.get(), &full, sizeof full), 8);
  waker.wake(waker.alarm);
  EXPECT_TRUE(waker.alarm);
  EXPECT_FALSE(waker.woken);
  EXPECT_TRUE(drain_interrupt(waker.event.get()));
  waker.wake(waker.woken);
  EXPECT_TRUE(waker.woken);
  EXPECT_TRUE(drain_interrupt(waker.event.get()));
}

}  // namespace
}  // namespace memif::detail
