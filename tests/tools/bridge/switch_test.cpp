#include "bridge/switch.hpp"

#include <array>
#include <gtest/gtest.h>
#include <utility>

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

constexpr Mac a{2, 0, 0, 0, 0, 0xa}, b{2, 0, 0, 0, 0, 0xb};
constexpr BridgePort::Time start{};

std::vector<std::byte> frame(const Mac& to, const Mac& from) {
  std::vector<std::byte> bytes;
  for (const Mac& mac : {to, from})
    for (const std::uint8_t byte : mac) bytes.push_back(std::byte{byte});
  bytes.resize(60);
  return bytes;
}

// A port that takes `room` frames a burst.
class TestPort final : public BridgePort {
 public:
  TestPort() : BridgePort("test") {}
  bool arm(std::vector<pollfd>&) override { return true; }
  bool up() const override { return is_up; }

  std::vector<std::vector<std::byte>> waiting;
  void pass(Frames frames, BridgePort& to) override {
    ++passed;
    BridgePort::pass(frames, to);
  }
  std::size_t room = 100, got = 0;
  std::size_t passed = 0;  // bursts that went to one port as they were
  bool is_up = true;

 private:
  void take(std::vector<Frame>& frames) override {
    held_ = std::exchange(waiting, {});
    for (const auto& bytes : held_) frames.emplace_back(bytes);
  }
  void put(Frames frames) override {
    for (const Frame& one : frames.first(std::min(frames.size(), room))) {
      sent(one);
      ++got;
    }
  }
  std::vector<std::vector<std::byte>> held_;
};

struct SwitchTest : testing::Test {
  void make(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) ports.push_back(std::make_unique<TestPort>());
  }
  TestPort& port(std::size_t i) { return static_cast<TestPort&>(*ports[i]); }
  void pass(std::size_t from, const Mac& to, const Mac& source, BridgePort::Time now = start) {
    port(from).waiting.push_back(frame(to, source));
    EXPECT_TRUE(bridge.run(now));
  }
  // Frames that each port got since the last call.
  std::vector<std::size_t> got() {
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < ports.size(); ++i) result.push_back(std::exchange(port(i).got, 0));
    return result;
  }

  Switch::Ports ports;
  Switch bridge{ports, 300s};
};

using Got = std::vector<std::size_t>;

TEST_F(SwitchTest, TwoPortsAreAWireThatLearnsNothing) {
  make(2);
  pass(0, b, a);
  EXPECT_EQ(got(), (Got{0, 1}));
  pass(1, b, a);
  EXPECT_EQ(got(), (Got{1, 0}));
  EXPECT_EQ(bridge.table().size(), 0u);
}

TEST_F(SwitchTest, FloodsToUnknownAddressesAndGroups) {
  make(3);
  pass(0, b, a);
  EXPECT_EQ(got(), (Got{0, 1, 1}));
  pass(1, broadcast_mac, b);
  EXPECT_EQ(got(), (Got{1, 0, 1}));
}

TEST_F(SwitchTest, SendsToWhereTheAddressWasSeen) {
  make(3);
  pass(0, b, a);
  got();
  pass(1, a, b);
  EXPECT_EQ(got(), (Got{1, 0, 0}));
  pass(0, b, a);
  EXPECT_EQ(got(), (Got{0, 1, 0}));
}

// What lies in memory that two ports share then needs no copy.
TEST_F(SwitchTest, PassesABurstOnWholeIfAllOfItIsForOnePort) {
  make(3);
  pass(0, broadcast_mac, a);
  pass(1, broadcast_mac, b);
  got();
  const auto passed = [this] { return std::exchange(port(0).passed, 0); };
  EXPECT_EQ(passed(), 0u) << "flooded";
  port(0).waiting = {frame(b, a), frame(b, a)};
  EXPECT_TRUE(bridge.run(start));
  EXPECT_EQ(got(), (Got{0, 2, 0}));
  EXPECT_EQ(passed(), 1u);
  port(0).waiting = {frame(b, a), frame(a, a)};
  EXPECT_TRUE(bridge.run(start));
  EXPECT_EQ(got(), (Got{0, 1, 0})) << "one of them goes back to where it came from: nowhere";
  port(0).waiting = {frame(b, a), frame(broadcast_mac, a)};
  EXPECT_TRUE(bridge.run(start));
  EXPECT_EQ(got(), (Got{0, 2, 1}));
  EXPECT_EQ(passed(), 0u);
}

TEST_F(SwitchTest, FollowsAnAddressThatMoves) {
  make(3);
  pass(0, b, a);
  pass(2, b, a);
  got();
  pass(1, a, b);
  EXPECT_EQ(got(), (Got{0, 0, 1}));
}

TEST_F(SwitchTest, FloodsAgainWhenAnAddressIsOld) {
  make(3);
  pass(0, b, a);
  got();
  pass(1, a, b, start + 300s);
  EXPECT_EQ(got(), (Got{1, 0, 1}));
}

TEST_F(SwitchTest, SendsNothingBackToItsSource) {
  make(3);
  pass(0, b, a);
  got();
  pass(0, a, b);
  EXPECT_EQ(got(), (Got{0, 0, 0}));
}

TEST_F(SwitchTest, AFullPortLosesItsOwnFramesOnly) {
  make(3);
  port(1).room = 0;
  pass(0, broadcast_mac, a);
  EXPECT_EQ(got(), (Got{0, 0, 1}));
  EXPECT_EQ(port(1).counters().tx_dropped, 1u);
  EXPECT_EQ(port(2).counters().tx_dropped, 0u);
}

TEST_F(SwitchTest, APortThatIsDownLosesItsFrames) {
  make(2);
  port(1).is_up = false;
  pass(0, b, a);
  EXPECT_EQ(got(), (Got{0, 0}));
  EXPECT_EQ(port(1).counters().tx_dropped, 1u);
}

TEST_F(SwitchTest, FramesTooShortForAHeaderAreDropped) {
  make(2);
  port(0).waiting.emplace_back(13);
  EXPECT_FALSE(bridge.run(start));
  EXPECT_EQ(got(), (Got{0, 0}));
  EXPECT_EQ(port(0).counters().rx_dropped, 1u);
}

}  // namespace
}  // namespace memif::tool
