// Sides with different numbers of queues. docs/protocol.md, "Handshake".
#include <gtest/gtest.h>

#include <memif/memif.hpp>

#include "support/pair.hpp"
#include "unit/protocol/handshake_fixture.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;

void expect_rings(const Interface& interface, std::size_t rx, std::size_t tx) {
  const InterfaceInfo info = interface.info();
  EXPECT_EQ(info.rx.size(), rx);
  EXPECT_EQ(info.tx.size(), tx);
  EXPECT_EQ(info.refusals, 0u) << info.last_reason->text;
}

class RingCounts : public testing::Test {
 protected:
  void connect(InterfaceConfig client, InterfaceConfig server) {
    client.socket = server.socket = test::unique_socket();
    server.role = Role::server;
    server_ = &server_context_.add(server);
    client_ = &client_context_.add(client);
    ASSERT_TRUE(reconnect());
  }
  bool reconnect() {
    return test::poll_until({&server_context_, &client_context_},
                            [&] { return server_->connected() && client_->connected(); });
  }

  Context server_context_, client_context_;
  Interface *server_ = nullptr, *client_ = nullptr;
};

TEST_F(RingCounts, AClientSettlesForAsManyAsTheServerTakesEitherWay) {
  connect({.rx_queues = 4, .tx_queues = 5}, {.rx_queues = 2, .tx_queues = 3});
  expect_rings(*client_, 3, 2);
}

TEST_F(RingCounts, AClientThatConnectsOnlyWhenToldSettlesAsWell) {
  connect({.tx_queues = 4, .reconnect = 0ms}, {.rx_queues = 2});
  expect_rings(*client_, 1, 2);
}

TEST_F(RingCounts, WhatAClientSettledForIsForgottenWithTheLink) {
  connect({.tx_queues = 4}, {.rx_queues = 2});
  const std::string socket = server_->config().socket;
  server_context_.remove(*server_);
  server_ = &server_context_.add({.socket = socket, .role = Role::server, .rx_queues = 8});
  ASSERT_TRUE(test::poll_until({&server_context_, &client_context_},
                               [&] { return server_->connected() && client_->info().connects == 2; }));
  EXPECT_EQ(client_->info().tx.size(), 4u);
}

TEST_F(RingCounts, AServerGetsNoMoreThanTheClientHas) {
  connect({.rx_queues = 1, .tx_queues = 2}, {.rx_queues = 256, .tx_queues = 256});
  EXPECT_EQ(server_->info().rx.size(), 2u);
  EXPECT_EQ(server_->info().tx.size(), 1u);
  EXPECT_EQ(server_->rx_rings(), 2u);
  EXPECT_EQ(server_->tx_rings(), 1u);
}

}  // namespace

namespace handshake {
namespace {

using namespace test;

// A client that has come as far as: 3 region 0, 4 S2M ring 0, 5 S2M ring 1, 6 M2S ring 0, 7 CONNECTED.
Client client_of_three_rings(int awaits) {
  Client client = client_at(0);
  client.on_message(hello(), 0, t0);
  client.allocated({region_size}, {{true, 0, 0, 0, 4}, {true, 1, 0, 512, 4}, {false, 0, 0, 1024, 4}}, t0);
  for (int acks = 2; acks < awaits; ++acks) client.on_message(message::Ack{}, 0, t0);
  return client;
}

TEST(RingRefusals, TellTheCountByTheRingThatIsRefused) {
  for (int awaits = 2; awaits <= 7; ++awaits) {
    Client client = client_of_three_rings(awaits);
    client.on_message(message::Disconnect{1, "Invalid ring index"}, 0, t0);
    EXPECT_EQ(client.fewer(), awaits == 5 ? std::optional(handshake::RingCounts{1, 1}) : std::nullopt) << awaits;
  }
}

TEST(RingRefusals, AreDisconnectsAndNothingElse) {
  Client client = client_of_three_rings(5);
  client.on_closed();
  EXPECT_EQ(client.fewer(), std::nullopt);
}

}  // namespace
}  // namespace handshake
}  // namespace memif
