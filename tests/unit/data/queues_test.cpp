// The owner of an interface's queues: how links come and go, what queues report, and who is woken.
#include "data/queues.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "memory/interrupt.hpp"
#include "support/confined.hpp"
#include "unit/data/links.hpp"

namespace memif::detail {
namespace {

using namespace std::chrono_literals;

class QueuesTest : public testing::Test {
 protected:
  static InterfaceConfig config(std::uint16_t rx_queues) {
    InterfaceConfig config{.socket = "@unused"};
    config.ring_size = 8;
    config.rx_queues = rx_queues;
    config.rx_mode = RxMode::polling;
    return config;
  }
  // With one ring each way.
  static std::shared_ptr<Link> new_link() { return test::client_link(config(1)); }

  int alarms_ = 0;
  Queues queues_{config(2), std::nullopt, [this] { ++alarms_; }};
};

TEST_F(QueuesTest, AreThereFromTheStartAndDown) {
  EXPECT_EQ(queues_.rx_count(), 2u);
  EXPECT_EQ(queues_.tx_count(), 1u);
  EXPECT_THROW(queues_.rx(2), std::out_of_range);
  EXPECT_THROW(queues_.tx(1), std::out_of_range);
  EXPECT_FALSE(queues_.connected());
  EXPECT_EQ(queues_.rx_rings() + queues_.tx_rings(), 0u);
  EXPECT_FALSE(queues_.rx(0).up());
  EXPECT_FALSE(queues_.tx(0).up());
  EXPECT_EQ(queues_.rx(0).raw().event_fd(), -1);
  EXPECT_GE(queues_.rx(0).event_fd(), 0);
}

TEST_F(QueuesTest, TakeTheLinkThatIsSetEachAtItsNextCall) {
  const auto link = new_link();
  queues_.set_link(link);
  EXPECT_TRUE(queues_.connected());
  EXPECT_FALSE(queues_.rx(0).raw().Queue::up()) << "it was not called yet";
  EXPECT_TRUE(queues_.rx(0).up());
  EXPECT_TRUE(queues_.tx(0).up());
  EXPECT_EQ(queues_.rx(0).raw().event_fd(), link->rx[0].interrupt.get());
  EXPECT_EQ(queues_.tx(0).ring_size(), 8u);
}

TEST_F(QueuesTest, WithoutARingOfTheLinkAreDown) {
  queues_.set_link(new_link());
  EXPECT_EQ(queues_.rx_rings(), 1u);
  EXPECT_TRUE(queues_.rx(0).up());
  EXPECT_FALSE(queues_.rx(1).up());
}

TEST_F(QueuesTest, HoldAFormerLinkUntilTheirNextCall) {
  queues_.set_link(new_link());
  const std::weak_ptr<Link> former = queues_.link();
  ASSERT_TRUE(queues_.tx(0).up());
  ASSERT_TRUE(queues_.rx(0).up());
  queues_.set_link(nullptr);
  EXPECT_FALSE(queues_.tx(0).up());
  EXPECT_FALSE(former.expired()) << "the receive queue may be in the middle of a burst";
  EXPECT_FALSE(queues_.rx(0).up());
  EXPECT_TRUE(former.expired());
}

TEST_F(QueuesTest, ReportABrokenPeerOnceAndTheFirstReasonCounts) {
  const auto link = new_link();
  queues_.set_link(link);
  ASSERT_TRUE(queues_.rx(0).up());
  EXPECT_FALSE(queues_.take_report());
  queues_.report(link, "first");
  queues_.report(link, "second");
  EXPECT_EQ(alarms_, 2);
  const auto report = queues_.take_report();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->code, Errc::broken_ring);
  EXPECT_STREQ(report->what, "first");
  EXPECT_FALSE(queues_.take_report());
}

TEST_F(QueuesTest, DoNotTakeALinkThatHasFailed) {
  const auto link = new_link();
  queues_.set_link(link);
  ASSERT_TRUE(queues_.rx(0).up());
  queues_.report(link, "broken");
  EXPECT_FALSE(queues_.tx(0).up());
  queues_.set_link(new_link());
  EXPECT_TRUE(queues_.tx(0).up());
}

TEST_F(QueuesTest, WhatIsReportedOfAFormerLinkIsNotTheNewOnes) {
  const auto former = new_link();
  queues_.set_link(former);
  queues_.report(former, "not asked for");
  queues_.set_link(new_link());
  EXPECT_FALSE(queues_.take_report());
  queues_.report(former, "late");
  EXPECT_FALSE(queues_.take_report());
  EXPECT_TRUE(queues_.rx(0).up());
}

TEST_F(QueuesTest, MemoryThatVanishesIsTheReasonWhateverQueuesSayOfTheirRings) {
  const auto link = new_link();
  queues_.set_link(link);
  ASSERT_TRUE(queues_.rx(0).up());
  link->memory_vanished();
  EXPECT_EQ(alarms_, 1);
  EXPECT_FALSE(queues_.rx(0).up());
  queues_.report(link, "an index that cannot be");
  ASSERT_TRUE(queues_.take_report());
  EXPECT_EQ(queues_.take_report()->code, Errc::truncated_memory);
}

TEST_F(QueuesTest, MemoryThatVanishedBeforeTheLinkWasSetIsFoundThen) {
  const auto link = new_link();
  link->memory_vanished();
  queues_.set_link(link);
  EXPECT_EQ(alarms_, 1);
  EXPECT_EQ(queues_.take_report().value().code, Errc::truncated_memory);
  EXPECT_FALSE(queues_.rx(0).up());
}

TEST_F(QueuesTest, AChangeSignalsNothingThatThePeerHas) {
  const auto link = new_link();
  queues_.set_link(link);
  ASSERT_TRUE(queues_.rx(0).up());
  EXPECT_FALSE(queues_.rx(0).wait(1ns));
  queues_.raise(queues_.rx(0).raw());
  queues_.set_link(nullptr);
  EXPECT_FALSE(drain_interrupt(link->rx[0].interrupt.get())) << "a program that watches it would find no packet";
}

// Whoever goes by event_fd() would never hear of packets.
TEST_F(QueuesTest, ALinkWhoseInterruptCannotBeWatchedIsReported) {
  static_cast<void>(queues_.rx(0).event_fd());
  const auto link = new_link();
  std::thread([&] {
    test::refuse_calls({SYS_epoll_ctl});
    queues_.set_link(link);
  }).join();
  EXPECT_EQ(alarms_, 1);
  EXPECT_FALSE(queues_.rx(0).up());
  EXPECT_EQ(queues_.take_report().value().code, Errc::broken_ring);
  queues_.set_link(new_link());
  EXPECT_FALSE(queues_.take_report());
  EXPECT_TRUE(queues_.rx(0).up());
}

class QueuesThreads : public QueuesTest {};

TEST_F(QueuesThreads, WhoeverWaitsWithoutALinkIsWokenByOne) {
  std::atomic<bool> done{false};
  std::thread waiting([&] {
    EXPECT_FALSE(queues_.rx(0).wait(-1ns));
    done = true;
  });
  while (!done) {
    queues_.set_link(new_link());
    queues_.set_link(nullptr);
  }
  waiting.join();
}

}  // namespace
}  // namespace memif::detail
