// Bursts whose link has gone, and whose queue has taken another one, or none, in between: nothing of the former link is
// handed out, sent, forwarded or given back, whatever call it was that took the new one.
#include <array>
#include <functional>
#include <gtest/gtest.h>

#include "support/pair.hpp"

namespace memif {
namespace {

using test::Pair;

constexpr std::array<std::byte, 100> payload{};

struct Case {
  std::string name;
  bool from_client;
  bool again;
  std::function<void(TxQueue&, RxQueue&)> call;
};

std::vector<Case> cases() {
  static std::array<Buffer, 4> elsewhere;
  const auto ignore = [](std::size_t, std::byte*, DescriptorWord, std::uint32_t, std::size_t) {};
  const std::pair<const char*, std::function<void(TxQueue&, RxQueue&)>> calls[] = {
      {"Room", [](TxQueue& tx, RxQueue& rx) { static_cast<void>(tx.room() + (rx.raw().pending() ? 1 : 0)); }},
      {"Renew", [](TxQueue& tx, RxQueue& rx) { static_cast<void>(tx.up()), static_cast<void>(rx.up()); }},
      {"SendCopyAndWait",
       [](TxQueue& tx, RxQueue& rx) {
         static_cast<void>(tx.send_copy(payload));
         static_cast<void>(rx.wait(std::chrono::nanoseconds(0)));
       }},
      {"Begin", [](TxQueue& tx, RxQueue& rx) { static_cast<void>(tx.begin(elsewhere)), static_cast<void>(rx.arm()); }},
      {"AllocateAndReceive",
       [](TxQueue& tx, RxQueue& rx) {
         static_cast<void>(tx.allocate(elsewhere, 64));
         static_cast<void>(rx.receive(elsewhere));
       }},
      {"ReserveAndTake",
       [ignore](TxQueue& tx, RxQueue& rx) {
         tx.raw().peek(1, 64, 1, 0, ignore);
         rx.raw().take(1, ignore);
       }},
      {"ForwardAndRelease",
       [](TxQueue& tx, RxQueue& rx) {
         RxBurst none;
         tx.forward(none);
         rx.raw().release(0);
       }},
      {"ExchangeAndDisarm",
       [](TxQueue& tx, RxQueue& rx) {
         tx.raw().exchange(rx.raw(), 0, 0);
         rx.disarm();
       }},
      {"PlaceAndRemind",
       [](TxQueue& tx, RxQueue& rx) {
         tx.raw().place(0, 0);
         rx.raw().remind();
       }},
  };
  std::vector<Case> all;
  for (const auto& [name, call] : calls)
    for (const bool from_client : {true, false})
      for (const bool again : {true, false})
        all.push_back({std::string(name) + (from_client ? "OfClient" : "OfServer") + (again ? "" : "WithoutNewLink"),
                       from_client, again, call});
  return all;
}

class FormerLink : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { ASSERT_TRUE(pair.connect()); }

  // Both control sides have let go of the link that was; with `again`, there is a new one.
  void change_link() {
    const std::uint64_t ended = own().info().disconnects;
    peer().disconnect("for the test");
    if (!GetParam().again) peer_context().remove(peer());
    ASSERT_TRUE(test::poll_until({&pair.server_context, &pair.client_context},
                                 [&] { return own().info().disconnects > ended; }));
    if (GetParam().again) {
      ASSERT_TRUE(pair.connect());
    }
  }
  Context& peer_context() { return GetParam().from_client ? pair.server_context : pair.client_context; }
  Interface& own() { return GetParam().from_client ? *pair.client : *pair.server; }
  Interface& peer() { return GetParam().from_client ? *pair.server : *pair.client; }

  Pair pair{{.socket = "", .reconnect = std::chrono::milliseconds(10)}};
};

TEST_P(FormerLink, IsNotAddedToASendingBurst) {
  std::array<Buffer, 64> buffers;
  TxQueue& tx = own().tx(0);
  TxBurst burst = tx.begin(buffers);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(burst.add(100));  // from the third on, from what was shown ahead
  change_link();
  GetParam().call(tx, own().rx(0));
  const std::uint64_t sent = tx.counters().packets.get();
  EXPECT_TRUE(burst.empty());
  EXPECT_EQ(burst.size(), 0u);
  EXPECT_TRUE(burst.buffers().empty());
  EXPECT_EQ(burst.begin(), burst.end());
  EXPECT_EQ(burst.back().data(), nullptr);
  EXPECT_TRUE(burst.back().bytes().empty());
  EXPECT_FALSE(burst.back().resize(10));
  EXPECT_FALSE(burst.add(100));
  EXPECT_FALSE(burst.add(5000));
  EXPECT_TRUE(burst.empty());
  EXPECT_EQ(burst.send(), 0u);
  EXPECT_EQ(tx.counters().packets.get(), sent);
}

TEST_P(FormerLink, IsNotAddedToAnEmptyBurst) {
  std::array<Buffer, 64> buffers;
  TxQueue& tx = own().tx(0);
  TxBurst burst = tx.begin(buffers);
  change_link();
  GetParam().call(tx, own().rx(0));
  EXPECT_FALSE(burst.add(100));
  EXPECT_EQ(burst.send(), 0u);
}

TEST_P(FormerLink, IsNotSeenInAReceivedBurst) {
  std::array<Buffer, 64> buffers;
  RxQueue& rx = own().rx(0);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(peer().tx(0).send_copy(payload));
  RxBurst burst = rx.receive(buffers);
  ASSERT_EQ(burst.size(), 3u);
  change_link();
  GetParam().call(own().tx(0), rx);
  EXPECT_TRUE(burst.empty());
  EXPECT_EQ(burst.size(), 0u);
  EXPECT_TRUE(burst.buffers().empty());
  EXPECT_EQ(burst.begin(), burst.end());
  Pair elsewhere;
  ASSERT_TRUE(elsewhere.connect());
  EXPECT_EQ(elsewhere.client->tx(0).forward(burst), 0u);
  EXPECT_EQ(own().tx(0).forward(burst), 0u);
  burst.release();
  EXPECT_EQ(rx.raw().held(), 0u);
}

INSTANTIATE_TEST_SUITE_P(After, FormerLink, testing::ValuesIn(cases()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace memif
