#include "replay/source.hpp"

#include <cstdio>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <unistd.h>

#include "common/command.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

CaptureTime at(std::int64_t ns) { return CaptureTime(nanoseconds(ns)); }

ReplayPlan with_rates(const std::string& packets, const std::string& bits) {
  ReplayPlan plan;
  plan.packet_rate = packets;
  plan.bit_rate = bits;
  return plan;
}

TEST(Pace, FollowsTheRecording) {
  Pace pace{ReplayPlan{}};
  EXPECT_EQ(pace.due(at(1000)), 0ns);
  EXPECT_EQ(pace.due(at(1500)), 500ns);
  pace.next_loop();
  EXPECT_EQ(pace.due(at(1000)), 500ns);
  EXPECT_EQ(pace.due(at(1001)), 501ns);
}

TEST(Pace, CountsFromTheFirstPacketAlsoAfterAClockWasSetBack) {
  Pace pace{ReplayPlan{}};
  EXPECT_EQ(pace.due(at(1000)), 0ns);
  EXPECT_EQ(pace.due(at(1500)), 500ns);
  EXPECT_EQ(pace.due(at(1400)), 400ns);  // at once, since what came before it was due at 500
  EXPECT_EQ(pace.due(at(1600)), 600ns);
  EXPECT_EQ(pace.due(at(1)), 0ns);
  EXPECT_EQ(pace.due(at(1700)), 700ns);
  EXPECT_EQ(pace.due(at(1650)), 650ns);
  pace.next_loop();
  EXPECT_EQ(pace.due(at(1000)), 700ns);
}

TEST(Pace, FollowsARate) {
  Pace packets(with_rates("1000", ""));
  EXPECT_EQ(packets.due(at(7)), 0ns);
  packets.passed(64);
  EXPECT_EQ(packets.due(at(7)), 1ms);

  Pace bits(with_rates("", "8M"));
  bits.passed(1000);
  EXPECT_EQ(bits.due(at(7)), 1ms);
}

TEST(Pace, TopSpeedIsAlwaysDue) {
  ReplayPlan plan;
  plan.topspeed = true;
  Pace pace(plan);
  pace.passed(64);
  EXPECT_EQ(pace.due(at(0)), 0ns);
  EXPECT_EQ(pace.due(at(1'000'000'000)), 0ns);
}

TEST(Pace, WhatIsTooFarAwayIsInTheFuture) {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                         most = std::numeric_limits<std::int64_t>::max();
  constexpr nanoseconds decades = 24h * 365 * 30;
  Pace recorded{ReplayPlan{}};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(recorded.due(at(least)), 0ns);
    EXPECT_GT(recorded.due(at(most)), decades);
  }
  EXPECT_LT(recorded.due(at(most)), nanoseconds::max() / 2);

  Pace slow(with_rates("0.000000000001", ""));
  slow.passed(64);
  EXPECT_GT(slow.due(at(0)), decades);
  EXPECT_LT(slow.due(at(0)), nanoseconds::max() / 2);
}

TEST(Pace, RefusesARateOfNothing) {
  EXPECT_THROW(Pace(with_rates("0", "")), UsageError);
  EXPECT_THROW(Pace(with_rates("", "0")), UsageError);
}

// --- Packets that cannot be sent ---

class ReplayOfEmptyPackets : public testing::Test {
 protected:
  // A capture of so many, and the source that sends it so many times.
  ReplaySource source(int packets, std::uint64_t loops) {
    std::ofstream file(path_, std::ios::binary);
    const auto put = [&](std::initializer_list<std::uint32_t> words) {
      for (const std::uint32_t word : words) file.write(reinterpret_cast<const char*>(&word), sizeof word);
    };
    put({0xa1b23c4d, 0x00040002, 0, 0, 262144, 1});
    for (int i = 0; i < packets; ++i) put({0, 0, 0, 0});
    file.close();
    ReplayPlan plan;
    plan.file = path_;
    plan.topspeed = true;
    plan.loops = loops;
    return {plan, Mode::ethernet};
  }
  ~ReplayOfEmptyPackets() override { std::remove(path_.c_str()); }

  const std::string path_ = testing::TempDir() + "memif-empty-" + std::to_string(::getpid());
};

TEST_F(ReplayOfEmptyPackets, GivesWayToItsCallerNowAndThen) {
  ReplaySource many = source(5000, 1);
  EXPECT_FALSE(many.load());
  EXPECT_FALSE(many.finished());
  EXPECT_FALSE(many.waits());
  EXPECT_LT(many.read(), 5000u);
  for (int calls = 0; !many.finished() && calls < 100; ++calls) EXPECT_FALSE(many.load());
  EXPECT_TRUE(many.finished());
  EXPECT_EQ(many.empty(), 5000u);
}

TEST_F(ReplayOfEmptyPackets, EndsWithTheFirstLoop) {
  ReplaySource empty = source(3, 0);
  EXPECT_FALSE(empty.load());
  EXPECT_TRUE(empty.finished());
  EXPECT_EQ(empty.loops(), 1u);
  EXPECT_EQ(empty.empty(), 3u);
}

}  // namespace
}  // namespace memif::tool
