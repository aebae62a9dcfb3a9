// What every adapter to a loop with callbacks does, with the real loop. A test file has a `Loop` with its name, turn(),
// which does not wait, and what makes a Driver and a Receiver of it.
#pragma once

#include <array>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <memif/coroutine.hpp>
#include <memif/memif.hpp>

#include "support/pair.hpp"

namespace memif::test {

constexpr std::array<std::byte, 60> packet{};

inline InterfaceConfig adapter_config() {
  InterfaceConfig config{.socket = unique_socket()};
  config.ring_size = 64;
  config.reconnect = std::chrono::milliseconds(0);
  return config;
}

inline std::size_t take(RxQueue& rx, std::size_t most = 64) {
  std::array<Buffer, 64> buffers;
  return rx.receive(std::span(buffers).first(most)).size();
}

// The server is in the loop, its client is not.
template <class Loop>
class CallbackAdapter : public testing::Test {
 protected:
  void SetUp() override {
    context = std::make_unique<Context>();
    InterfaceConfig config = adapter_config();
    config.role = Role::server;
    port = &context->add(config);
    driver = loop.drive(*context);
    config.role = Role::client;
    peer = &peer_context.add(config);
    ASSERT_TRUE(connect());
  }

  [[nodiscard]] bool turn_until(const std::function<bool()>& done) {
    const auto deadline = Clock::now() + std::chrono::seconds(10);
    while (!done()) {
      if (Clock::now() > deadline) return false;
      loop.turn();
      peer_context.poll(std::chrono::milliseconds(1));
    }
    return true;
  }
  void idle() {
    for (int i = 0; i < 10; ++i) {
      loop.turn();
      peer_context.poll(std::chrono::milliseconds(1));
    }
  }
  bool connect() {
    peer->connect();
    return turn_until([this] { return port->connected() && peer->connected(); });
  }
  bool disconnect() {
    peer->disconnect("for the test");
    return turn_until([this] { return !port->connected(); });
  }
  bool send(std::size_t count = 1) {
    bool sent = true;
    for (std::size_t i = 0; i < count; ++i) sent = sent && peer->tx(0).send_copy(packet);
    return sent;
  }

  Loop loop;
  std::unique_ptr<Context> context;
  Context peer_context;
  Interface* port = nullptr;
  Interface* peer = nullptr;
  std::unique_ptr<typename Loop::Driver> driver;
};

TYPED_TEST_SUITE_P(CallbackAdapter);

TYPED_TEST_P(CallbackAdapter, PacketsComeOverAllLinks) {
  std::size_t packets = 0, calls = 0;
  const auto receiver = this->loop.receive(this->port->share_rx(0), [&](RxQueue& rx) {
    ++calls;
    packets += take(rx);
  });
  for (std::size_t i = 1; i < 5; ++i) {
    ASSERT_TRUE(this->send(10));
    ASSERT_TRUE(this->turn_until([&] { return packets == i * 10; }));
    calls = 0;
    ASSERT_TRUE(this->disconnect());
    ASSERT_TRUE(this->turn_until([&] { return calls != 0; })) << "the link has gone";
    calls = 0;
    ASSERT_TRUE(this->connect());
    ASSERT_TRUE(this->turn_until([&] { return calls != 0; })) << "the link has come";
  }
  this->idle();
  calls = 0;
  this->idle();
  EXPECT_EQ(calls, 0u) << "nothing happens, and the loop sleeps";
}

TYPED_TEST_P(CallbackAdapter, PacketsOfBeforeAreToldOf) {
  ASSERT_TRUE(this->send());
  std::size_t packets = 0;
  const auto receiver = this->loop.receive(this->port->share_rx(0), [&](RxQueue& rx) { packets += take(rx); });
  ASSERT_TRUE(this->turn_until([&] { return packets == 1; }));
}

TYPED_TEST_P(CallbackAdapter, WhatIsLeftIsForTheNextTurn) {
  std::size_t packets = 0, calls = 0;
  const auto receiver = this->loop.receive(this->port->share_rx(0), [&](RxQueue& rx) {
    packets += take(rx, 1);
    ++calls;
  });
  ASSERT_TRUE(this->send(20));
  ASSERT_TRUE(this->turn_until([&] { return packets == 20; }));
  EXPECT_GE(calls, 20u);
  this->idle();
  calls = 0;
  this->idle();
  EXPECT_EQ(calls, 0u);
}

TYPED_TEST_P(CallbackAdapter, CallMayDestroyItsReceiver) {
  std::unique_ptr<typename TypeParam::Receiver> receiver;
  std::size_t calls = 0;
  receiver = this->loop.receive(this->port->share_rx(0), [&](RxQueue& rx) {
    if (take(rx, 1) == 0) return;
    ++calls;
    receiver = nullptr;
  });
  ASSERT_TRUE(this->send(5));
  ASSERT_TRUE(this->turn_until([&] { return calls == 1; }));
  this->idle();
  EXPECT_EQ(calls, 1u);
  std::size_t packets = 0;
  receiver = this->loop.receive(this->port->share_rx(0), [&](RxQueue& rx) { packets += take(rx); });
  ASSERT_TRUE(this->turn_until([&] { return packets == 4; })) << "what was left is another's";
}

TYPED_TEST_P(CallbackAdapter, WhoIsDestroyedWhileReadyIsNotCalled) {
  std::size_t calls = 0;
  auto receiver = this->loop.receive(this->port->share_rx(0), [&](RxQueue& rx) {
    take(rx);
    ++calls;
  });
  this->idle();
  calls = 0;
  ASSERT_TRUE(this->send());
  receiver = nullptr;
  this->idle();
  EXPECT_EQ(calls, 0u);
}

TYPED_TEST_P(CallbackAdapter, InterfaceMayGoWhileItIsReceivedFrom) {
  std::size_t calls = 0;
  const auto receiver = this->loop.receive(this->port->share_rx(0), [&](RxQueue& rx) {
    EXPECT_EQ(take(rx), 0u);
    EXPECT_FALSE(rx.up() && this->port == nullptr);
    ++calls;
  });
  this->context->remove(*std::exchange(this->port, nullptr));
  ASSERT_TRUE(this->turn_until([&] { return calls != 0; }));
  this->idle();
  calls = 0;
  this->idle();
  EXPECT_EQ(calls, 0u);
}

TYPED_TEST_P(CallbackAdapter, CallbackOfTheContextMayDestroyIt) {
  auto other = std::make_unique<Context>();
  bool called = false;
  InterfaceConfig config = adapter_config();
  config.role = Role::server;
  std::unique_ptr<typename TypeParam::Driver> other_driver;
  config.on_connected = [&](Interface&) {
    called = true;
    other_driver = nullptr;
    other = nullptr;
  };
  other->add(config);
  other_driver = this->loop.drive(*other);
  config.role = Role::client;
  config.on_connected = nullptr;
  this->peer_context.add(config);
  ASSERT_TRUE(this->turn_until([&] { return called; }));
  this->idle();
}

static Task echo(Interface& port, std::size_t& ends) {
  std::array<Buffer, 8> buffers;
  for (Waited how = Waited::ready; !over(how);) {
    for (RxBurst burst = port.rx(0).receive(buffers); !burst.empty() && !over(how); port.tx(0).forward(burst))
      how = co_await port.tx(0).room(1);
    if (!over(how)) how = co_await port.rx(0).ready();
  }
  ++ends;
}

TYPED_TEST_P(CallbackAdapter, CoroutinesAreResumed) {
  std::size_t ends = 0, back = 0;
  const Task task = echo(*this->port, ends);
  for (std::size_t i = 1; i < 4; ++i) {
    ASSERT_TRUE(this->send(64));
    ASSERT_TRUE(this->turn_until([&] { return (back += take(this->peer->rx(0))) == i * 64; }));
    ASSERT_TRUE(this->disconnect());
    ASSERT_TRUE(this->connect());
  }
  this->context->remove(*this->port);
  EXPECT_EQ(ends, 1u);
  this->idle();
}

REGISTER_TYPED_TEST_SUITE_P(CallbackAdapter, PacketsComeOverAllLinks, PacketsOfBeforeAreToldOf,
                            WhatIsLeftIsForTheNextTurn, CallMayDestroyItsReceiver, WhoIsDestroyedWhileReadyIsNotCalled,
                            InterfaceMayGoWhileItIsReceivedFrom, CallbackOfTheContextMayDestroyIt,
                            CoroutinesAreResumed);

}  // namespace memif::test
