// Publishing, and observing what is published: both ends in this process.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <memif/memif.hpp>

#include "support/pair.hpp"
#include "unit/observe/observe_fixture.hpp"

namespace memif {
namespace {

using test::poll_until;
using test::Published;
using test::seen_on;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(Observe, WhatWasNotPublishedIsNotSeen) {
  test::Pair pair;
  EXPECT_THAT(seen_on(pair.server->config().socket), IsEmpty());
}

TEST(Observe, NamesAndStateOfAnInterfaceWithoutAPeer) {
  Context context{{.app_name = "lonely", .publish = true}};
  const std::string socket = test::unique_socket();
  context.add({.socket = socket, .id = 7, .role = Role::server, .mode = Mode::ip, .name = "port 7", .rx_queues = 2});
  const auto seen = seen_on(socket);
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].program.pid, ::getpid());
  EXPECT_EQ(seen[0].program.uid, ::geteuid());
  EXPECT_EQ(seen[0].app_name, "lonely");
  EXPECT_EQ(seen[0].name, "port 7");
  EXPECT_EQ(seen[0].id, 7u);
  EXPECT_EQ(seen[0].role, Role::server);
  EXPECT_EQ(seen[0].mode, Mode::ip);
  EXPECT_FALSE(seen[0].connected);
  EXPECT_FALSE(seen[0].peer);
  EXPECT_THAT(seen[0].rx, SizeIs(2));
  EXPECT_THAT(seen[0].tx, SizeIs(1));
  EXPECT_FALSE(seen[0].rx[0].ring);
}

TEST(Observe, PeerRingsRegionsAndCountersOfALink) {
  Published pair({.socket = "", .ring_size = 64, .buffer_size = 512});
  ASSERT_TRUE(pair.connect());
  const std::array<std::byte, 100> packet{};
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pair.client->tx(0).send_copy(packet));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(pair.server->tx(0).send_copy(packet));

  auto seen = seen_on(pair.socket);
  ASSERT_THAT(seen, SizeIs(2));
  const ObservedInterface &server = seen[0], &client = seen[1];
  EXPECT_TRUE(server.connected);
  ASSERT_TRUE(server.peer);
  EXPECT_EQ(server.peer->app_name, "observed");
  EXPECT_EQ(server.peer->interface_name, "memif1/0");
  EXPECT_EQ(server.peer->credentials.pid, ::getpid());
  EXPECT_EQ(server.connects, 1u);
  ASSERT_THAT(client.regions, SizeIs(1));
  EXPECT_TRUE(client.regions[0].sealed);
  EXPECT_GE(client.regions[0].size, 128u * 512u);

  EXPECT_EQ(client.tx[0].totals.packets, 3u);
  EXPECT_EQ(client.tx[0].totals.bytes, 300u);
  EXPECT_EQ(server.tx[0].totals.packets, 5u);
  EXPECT_EQ(server.rx[0].totals.packets, 0u);
  ASSERT_TRUE(server.rx[0].ring);
  EXPECT_EQ(server.rx[0].ring->ring_size, 64u);
  EXPECT_EQ(client.rx[0].ring->buffer_size, 512u);
  // The same ring from both ends, and both directions.
  for (const auto& ring : {client.tx[0].ring, server.rx[0].ring}) {
    ASSERT_TRUE(ring && ring->live);
    EXPECT_EQ(ring->live->used, 3u);
  }
  for (const auto& ring : {server.tx[0].ring, client.rx[0].ring}) {
    ASSERT_TRUE(ring && ring->live);
    EXPECT_EQ(ring->live->used, 5u);
  }

  std::array<Buffer, 8> buffers;
  EXPECT_EQ(pair.server->rx(0).receive(buffers).size(), 3u);
  seen = seen_on(pair.socket);
  EXPECT_EQ(seen[0].rx[0].totals.packets, 3u);
  EXPECT_EQ(seen[0].rx[0].totals.bytes, 300u);
  EXPECT_EQ(seen[0].rx[0].ring->live->used, 0u);
}

TEST(Observe, CountersAreThoseThatTheQueueItselfShows) {
  Published pair;
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.client->tx(0).send_copy(std::array<std::byte, 64>{}));
  const auto seen = seen_on(pair.socket);
  EXPECT_EQ(seen[1].tx[0].totals.packets, pair.client->tx(0).counters().packets.get());
  EXPECT_EQ(seen[1].tx[0].totals.bytes, pair.client->tx(0).counters().bytes.get());
  EXPECT_EQ(seen[1].tx[0].totals.interrupts, pair.client->tx(0).counters().interrupts.get());
}

TEST(Observe, AnEndedLinkTellsWhy) {
  Published pair({.socket = "", .reconnect = std::chrono::milliseconds(0)});
  ASSERT_TRUE(pair.connect());
  pair.client->disconnect("enough \x1b[31m of it");
  ASSERT_TRUE(poll_until({&pair.context}, [&] { return !pair.server->connected(); }));
  const auto seen = seen_on(pair.socket);
  EXPECT_FALSE(seen[0].connected);
  EXPECT_FALSE(seen[0].peer);
  EXPECT_EQ(seen[0].disconnects, 1u);
  EXPECT_FALSE(seen[0].rx[0].ring);
  EXPECT_THAT(seen[0].regions, IsEmpty());
  ASSERT_TRUE(seen[0].last_reason);
  EXPECT_TRUE(seen[0].last_reason->from_peer);
  EXPECT_EQ(seen[0].last_reason->code, Errc::peer_disconnected);
  EXPECT_THAT(seen[0].last_reason->text, HasSubstr("enough ?[31m of it"));
}

TEST(Observe, ARemovedInterfaceIsGoneAlthoughItsQueueIsHeld) {
  Published pair;
  const auto held = pair.server->share_rx(0);
  pair.context.remove(*pair.server);
  EXPECT_THAT(seen_on(pair.socket), SizeIs(1));
  EXPECT_EQ(held->counters().packets.get(), 0u);
}

TEST(Observe, AForkedChildDoesNotPublishItsParentsInterfaces) {
  Published pair;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(ends[1]);
    char byte;
    ::_exit(static_cast<int>(::read(ends[0], &byte, 1)));
  }
  EXPECT_THAT(observe(child).value().interfaces, IsEmpty());
  ::close(ends[0]);
  ::close(ends[1]);
  ::waitpid(child, nullptr, 0);
}

TEST(Observe, ThisProcessIsFoundOnceItPublishes) {
  const auto found = [] {
    const auto all = observe_all().interfaces;
    return std::count_if(all.begin(), all.end(), [](const auto& one) { return one.program.pid == ::getpid(); });
  };
  EXPECT_EQ(found(), 0);
  Published pair;
  EXPECT_EQ(found(), 2);
}

TEST(Observe, AProcessThatIsNotThere) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  const auto seen = observe(child);
  ASSERT_FALSE(seen);
  EXPECT_EQ(seen.error().code, std::errc::no_such_process);
}

// An interface that cannot publish works all the same.
TEST(Observe, WithoutMemoryToPublishInTheInterfaceWorks) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit none{0, before.rlim_max};
  std::string said;
  Context context{{.log = [&](LogLevel, std::string_view text) { said = text; }, .publish = true}};
  ::setrlimit(RLIMIT_FSIZE, &none);
  Interface& interface = context.add({.socket = test::unique_socket(), .role = Role::server, .name = "poor"});
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_THAT(said, HasSubstr("poor: not published"));
  EXPECT_THAT(seen_on(interface.config().socket), IsEmpty());
}

// A reader never sees a link without its peer, whatever it is interrupted by.
TEST(ObserveThreads, WhatIsSeenIsOneMoment) {
  Published pair({.socket = "", .reconnect = std::chrono::milliseconds(0)});
  std::atomic<bool> stop{false};
  std::uint64_t looks = 0;
  std::thread observer([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      for (const ObservedInterface& seen : seen_on(pair.socket)) {
        EXPECT_EQ(seen.connected, seen.peer && seen.peer->app_name == "observed");
        EXPECT_EQ(seen.connected, seen.rx[0].ring.has_value());
        EXPECT_EQ(seen.connected, seen.regions.size() == 1);
        EXPECT_EQ(seen.connects - seen.disconnects, seen.connected ? 1u : 0u);
      }
      ++looks;
    }
  });
  for (int i = 0; i < 100; ++i) {
    pair.client->connect();
    EXPECT_TRUE(pair.connect());
    pair.client->disconnect();
    EXPECT_TRUE(poll_until({&pair.context}, [&] { return !pair.server->connected(); }));
  }
  stop.store(true, std::memory_order_relaxed);
  observer.join();
  EXPECT_GT(looks, 0u);
}

}  // namespace
}  // namespace memif
