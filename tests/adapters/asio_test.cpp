// The adapter to asio. Compiled for standalone asio and, with MEMIF_BOOST_ASIO, for Boost's.
#include <array>
#include <atomic>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#if defined(MEMIF_BOOST_ASIO)
#include <boost/asio.hpp>  // 1.74 needs <utility> before it
#else
#include <asio.hpp>
#endif

#include <memif/adapters/asio.hpp>
#include <memif/coroutine.hpp>
#include <memif/memif.hpp>

#include "support/pair.hpp"

namespace memif::test {
namespace {

namespace net = on_asio::net;
using on_asio::Driver;
using on_asio::error_code;
using on_asio::Receiver;
using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

constexpr std::array<std::byte, 60> packet{};
const error_code aborted = net::error::operation_aborted;

InterfaceConfig adapter_config() {
  InterfaceConfig config{.socket = unique_socket()};
  config.ring_size = 64;
  config.reconnect = 0ms;
  return config;
}

std::size_t take(RxQueue& rx) {
  std::array<Buffer, 64> buffers;
  return rx.receive(buffers).size();
}

class AsioAdapter : public testing::Test {
 protected:
  void SetUp() override {
    InterfaceConfig config = adapter_config();
    config.role = Role::server;
    port = &context->add(config);
    driver.emplace(io.get_executor(), *context);
    config.role = Role::client;
    peer = &peer_context.add(config);
    ASSERT_TRUE(connect());
    receiver.emplace(io.get_executor(), port->share_rx(0));
  }

  void turn() {
    io.restart();
    io.poll();
    peer_context.poll(1ms);
  }
  [[nodiscard]] bool turn_until(const std::function<bool()>& done) {
    const auto deadline = Clock::now() + 10s;
    for (; !done(); turn())
      if (Clock::now() > deadline) return false;
    return true;
  }
  void idle() {
    for (int i = 0; i < 10; ++i) turn();
  }
  bool connect() {
    peer->connect();
    return turn_until([this] { return port->connected() && peer->connected(); });
  }
  bool disconnect() {
    peer->disconnect("for the test");
    return turn_until([this] { return !port->connected(); });
  }
  bool send() { return peer->tx(0).send_copy(packet); }
  auto note() {
    return [this](error_code error) { ends.push_back(error); };
  }

  std::unique_ptr<Context> context = std::make_unique<Context>();
  Context peer_context;
  net::io_context io{1};
  Interface* port = nullptr;
  Interface* peer = nullptr;
  std::optional<Driver> driver;
  std::optional<Receiver> receiver;
  std::vector<error_code> ends;
};

TEST_F(AsioAdapter, WaitIsOverOncePacketsCome) {
  for (int i = 0; i < 5; ++i) {
    receiver->async_wait(note());
    idle();
    EXPECT_THAT(ends, IsEmpty());
    ASSERT_TRUE(send());
    ASSERT_TRUE(turn_until([&] { return !ends.empty(); }));
    EXPECT_THAT(ends, ElementsAre(error_code()));
    EXPECT_EQ(take(receiver->queue()), 1u);
    ends.clear();
  }
}

TEST_F(AsioAdapter, HandlerIsNotCalledByWhoBeginsToWait) {
  ASSERT_TRUE(send());
  receiver->async_wait(note());
  EXPECT_THAT(ends, IsEmpty());
  idle();
  EXPECT_THAT(ends, ElementsAre(error_code()));
}

TEST_F(AsioAdapter, LinksComeAndGoWhileItWaits) {
  receiver->async_wait(note());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(disconnect());
    idle();
    ASSERT_TRUE(connect());
    idle();
  }
  EXPECT_THAT(ends, IsEmpty());
  ASSERT_TRUE(send());
  ASSERT_TRUE(turn_until([&] { return !ends.empty(); }));
  EXPECT_THAT(ends, ElementsAre(error_code()));
}

TEST_F(AsioAdapter, LinkIsWaitedFor) {
  ASSERT_TRUE(disconnect());
  receiver->async_connected(note());
  idle();
  EXPECT_THAT(ends, IsEmpty());
  ASSERT_TRUE(connect());
  ASSERT_TRUE(turn_until([&] { return !ends.empty(); }));
  receiver->async_connected(note());
  ASSERT_TRUE(turn_until([&] { return ends.size() == 2; })) << "and there is one";
  EXPECT_THAT(ends, ElementsAre(error_code(), error_code()));
}

TEST_F(AsioAdapter, BurstComesWithTheHandler) {
  std::array<Buffer, 8> buffers;
  std::size_t packets = 0;
  receiver->async_receive(buffers, [&](error_code error, RxBurst burst) {
    EXPECT_FALSE(error);
    packets = burst.size();
  });
  ASSERT_TRUE(send());
  ASSERT_TRUE(turn_until([&] { return packets != 0; }));
  EXPECT_EQ(packets, 1u);
}

TEST_F(AsioAdapter, CancelEndsTheWait) {
  receiver->async_wait(note());
  idle();
  receiver->cancel();
  idle();
  EXPECT_THAT(ends, ElementsAre(aborted));
  receiver->async_wait(note());
  ASSERT_TRUE(send());
  ASSERT_TRUE(turn_until([&] { return ends.size() == 2; })) << "it is as before";
  EXPECT_FALSE(ends.back());
}

TEST_F(AsioAdapter, CancelWhileReadyLosesNoPacket) {
  std::array<Buffer, 8> buffers;
  std::size_t packets = 0, calls = 0;
  receiver->async_receive(buffers, [&](error_code error, RxBurst burst) {
    ++calls;
    EXPECT_EQ(error ? 0u : 1u, burst.size());
    packets += burst.size();
  });
  idle();
  ASSERT_TRUE(send());
  receiver->cancel();
  idle();
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(packets + take(receiver->queue()), 1u);
}

TEST_F(AsioAdapter, ReceiverThatIsDestroyedEndsItsWait) {
  receiver->async_wait(note());
  receiver.reset();
  idle();
  EXPECT_THAT(ends, ElementsAre(aborted));
  receiver.emplace(io.get_executor(), port->share_rx(0));
  ASSERT_TRUE(send());
  receiver->async_wait(note());  // posted, for the packet is there
  receiver.reset();
  idle();
  EXPECT_THAT(ends, ElementsAre(aborted, aborted));
}

TEST_F(AsioAdapter, HandlerMayDestroyTheReceiver) {
  ASSERT_TRUE(send());
  receiver->async_wait([&](error_code error) {
    ends.push_back(error);
    receiver.reset();
  });
  idle();
  EXPECT_THAT(ends, ElementsAre(error_code()));
}

TEST_F(AsioAdapter, InterfaceMayGoWhileItWaits) {
  receiver->async_wait(note());
  idle();
  context->remove(*port);
  idle();
  EXPECT_THAT(ends, IsEmpty());
  receiver.reset();
  idle();
  EXPECT_THAT(ends, ElementsAre(aborted));
}

TEST_F(AsioAdapter, CallbackOfTheContextMayDestroyIt) {
  auto other = std::make_unique<Context>();
  std::optional<Driver> other_driver;
  bool called = false;
  InterfaceConfig config = adapter_config();
  config.role = Role::server;
  config.on_connected = [&](Interface&) {
    called = true;
    other_driver.reset();
    other = nullptr;
  };
  other->add(config);
  other_driver.emplace(io.get_executor(), *other);
  config.role = Role::client;
  config.on_connected = nullptr;
  peer_context.add(config);
  ASSERT_TRUE(turn_until([&] { return called; }));
  idle();
}

TEST_F(AsioAdapter, WhatACallbackThrowsComesOutOfRunAndTheContextGoesOn) {
  InterfaceConfig config = adapter_config();
  config.role = Role::server;
  config.on_connected = [](Interface&) { throw std::runtime_error("thrown"); };
  Interface& thrower = context->add(config);
  config.role = Role::client;
  config.on_connected = nullptr;
  peer_context.add(config);
  bool thrown = false;
  for (int i = 0; i < 5000 && !thrown; ++i) {
    try {
      turn();
    } catch (const std::runtime_error&) {
      thrown = true;
    }
  }
  EXPECT_TRUE(thrown);
  context->remove(thrower);
  ASSERT_TRUE(disconnect());
  ASSERT_TRUE(connect());
}

Task count(RxQueue& rx, std::size_t& packets, Waited& last) {
  for (;;) {
    last = co_await rx.ready();
    if (over(last)) co_return;
    packets += take(rx);
  }
}

TEST_F(AsioAdapter, CoroutinesOfTheLibraryAreResumed) {
  std::size_t packets = 0;
  Waited last = Waited::ready;
  const Task task = count(port->rx(0), packets, last);
  for (std::size_t i = 1; i < 4; ++i) {
    ASSERT_TRUE(send());
    ASSERT_TRUE(turn_until([&] { return packets == i; }));
    ASSERT_TRUE(disconnect());
    ASSERT_TRUE(connect());
  }
  context->remove(*port);
  EXPECT_EQ(last, Waited::closed);
}

// A strand keeps the waits of one queue apart, whichever threads run the loop.
TEST_F(AsioAdapter, StrandOnThreadsReceivesAllPackets) {
  auto strand = net::make_strand(io);
  receiver.emplace(strand, port->share_rx(0));
  constexpr std::size_t all = 20000;
  std::atomic<std::size_t> packets{0};
  std::array<Buffer, 64> buffers;
  std::function<void(error_code, RxBurst)> next = [&](error_code error, RxBurst burst) {
    if (error) return;
    packets += burst.size();
    burst.release();
    if (packets != all) receiver->async_receive(buffers, [&](error_code e, RxBurst b) { next(e, std::move(b)); });
  };
  net::post(strand, [&] { receiver->async_receive(buffers, [&](error_code e, RxBurst b) { next(e, std::move(b)); }); });
  io.restart();
  auto work = net::make_work_guard(io);
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { io.run(); });
  const auto deadline = Clock::now() + 60s;
  for (std::size_t sent = 0; packets != all && Clock::now() < deadline;) {
    if (sent != all && send())
      ++sent;
    else
      std::this_thread::yield();
  }
  work.reset();
  io.stop();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(packets, all);
}

#if !defined(MEMIF_BOOST_ASIO)
TEST_F(AsioAdapter, CancellationSlotEndsTheWait) {
  asio::cancellation_signal signal;
  receiver->async_wait(asio::bind_cancellation_slot(signal.slot(), note()));
  idle();
  EXPECT_THAT(ends, IsEmpty());
  signal.emit(asio::cancellation_type::total);
  idle();
  EXPECT_THAT(ends, ElementsAre(aborted));
}
#endif

#if defined(ASIO_HAS_CO_AWAIT) || defined(BOOST_ASIO_HAS_CO_AWAIT)
TEST_F(AsioAdapter, CoroutinesOfAsioEcho) {
  const auto echo = [this]() -> net::awaitable<void> {
    std::array<Buffer, 8> buffers;
    co_await receiver->async_connected(net::use_awaitable);
    while (true) {
      RxBurst burst = co_await receiver->async_receive(buffers, net::use_awaitable);
      port->tx(0).forward(burst);
    }
  };
  std::exception_ptr thrown;
  net::co_spawn(io, echo, [&](std::exception_ptr error) { thrown = error; });
  std::size_t back = 0;
  for (std::size_t i = 1; i < 10; ++i) {
    ASSERT_TRUE(send());
    ASSERT_TRUE(turn_until([&] { return (back += take(peer->rx(0))) == i; }));
  }
  receiver.reset();
  ASSERT_TRUE(turn_until([&] { return thrown != nullptr; })) << "operation_aborted";
}
#endif

}  // namespace
}  // namespace memif::test
