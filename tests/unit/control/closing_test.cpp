// What is still to be closed or unmapped for a peer's user holds back that user, in both roles, and only for as long.
#include <array>
#include <atomic>
#include <cstddef>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <memif/memif.hpp>

#include "base/deferred.hpp"
#include "protocol/address.hpp"
#include "protocol/channel.hpp"
#include "protocol/message.hpp"
#include "support/confined.hpp"
#include "support/lingering.hpp"
#include "support/pair.hpp"
#include "support/resources.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;
using deferred::Kind;
using deferred::Place;

void let_wait(std::vector<test::Lingering>& lingering, Kind kind) {
  for (test::Lingering& one : lingering) deferred::close(one.give(), ::getuid(), Place(kind));
}

// Each link would leave more behind.
TEST(Closing, ClientMakesNoLinkWhileTooMuchOfItsServersIsStillBeingClosed) {
  std::vector<test::Lingering> lingering(70);
  let_wait(lingering, Kind::strange);
  test::Pair pair({.socket = "", .reconnect = 10ms});
  const auto reason = [&] { return pair.client->info().last_reason.value_or(Reason{}); };
  ASSERT_TRUE(test::poll_until({&pair.server_context, &pair.client_context},
                               [&] { return reason().code == Errc::fds_not_closed; }));
  EXPECT_FALSE(reason().from_peer);
  const Status again = pair.client->try_connect();  // does not even ask
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::fds_not_closed);
  lingering.clear();
  EXPECT_TRUE(pair.connect());
}

// However often it comes back.
TEST(Closing, MemoryThatWaitsToBeUnmappedCountsWithThatOfTheNextLink) {
  std::vector<test::Lingering> slow(4);
  test::Pair pair({.socket = "", .reconnect = 10ms, .max_peer_memory = 6 << 20});
  ASSERT_TRUE(pair.connect());
  let_wait(slow, Kind::memory);
  pair.server->disconnect("again");
  ASSERT_TRUE(test::poll_until({&pair.server_context, &pair.client_context}, [&] {
    return pair.server->info().last_reason.value_or(Reason{}).code == Errc::fds_not_closed;
  }));
  EXPECT_FALSE(pair.server->connected());
  slow.clear();
  EXPECT_TRUE(pair.connect());
}

// The greeting is only looked at; with the connection goes what came with it.
TEST(Closing, ProbeDoesNotWaitForWhatCameWithTheGreeting) {
  const std::string socket = test::unique_socket();
  std::optional<test::Lingering> lingering(std::in_place);
  const Fd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.copy(address.sun_path, sizeof address.sun_path);
  address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  std::atomic<bool> answered{false};
  std::thread evil([&] {
    Channel channel(Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    channel.send(message::emit(message::Hello{.name = "evil"}), lingering->fd());
    deferred::close(lingering->give(), ::getuid(), Place(Kind::strange));  // so that the last one is the probe's
    for (const auto end = Clock::now() + 30s; !answered && Clock::now() < end;) std::this_thread::sleep_for(1ms);
    lingering.reset();
  });
  const auto begin = Clock::now();
  const Result<ListenerInfo> info = probe(socket, 10s);
  EXPECT_LT(Clock::now() - begin, 20s);
  answered = true;
  evil.join();
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->app_name, "evil");
}

// A listener accepts nobody whose end it could not be rid of, says so, and goes on when that is over.
TEST(Closing, ListenerRestsWhileTooMuchIsStillBeingClosed) {
  constexpr uid_t stranger = 4000;
  const test::DescriptorLimit limit(256);  // a quarter of which is enough
  std::vector<test::Lingering> lingering(70);
  for (test::Lingering& one : lingering) deferred::close(one.give(), stranger, Place(Kind::strange));
  ASSERT_TRUE(deferred::full());
  const std::string socket = test::unique_socket();
  Context context;
  Interface& server = context.add({.socket = socket, .role = Role::server});
  const auto stats = [&] { return context.listener_stats(socket).value(); };
  Channel visitor(std::move(connect_to(*parse_address(socket))).value());
  ASSERT_TRUE(test::poll_until({&context}, [&] { return stats().failed_accepts >= 2; }));
  EXPECT_EQ(stats().accepted, 0u);
  EXPECT_EQ(stats().trouble.value_or(Reason{}).code, Errc::fds_not_closed);
  EXPECT_EQ(server.info().last_reason.value_or(Reason{}).code, Errc::fds_not_closed);
  EXPECT_FALSE(server.info().last_reason.value_or(Reason{}).from_peer);
  lingering.clear();
  Datagram datagram;
  EXPECT_TRUE(test::poll_until(
      {&context}, [&] { return visitor.receive(datagram).value() == Channel::Receive::message; }));  // HELLO
  EXPECT_EQ(stats().accepted, 1u);
  EXPECT_FALSE(stats().trouble);
  EXPECT_FALSE(server.info().last_reason);
}

// All of a handshake's messages come at once, more than any good peer would send without an answer.
TEST(Closing, PeerThatSaysMuchAtOnceHasItsTurnsLikeOthers) {
  const std::string socket = test::unique_socket();
  Context context;
  context.add({.socket = socket, .role = Role::server});
  Channel client(std::move(connect_to(*parse_address(socket))).value());
  Datagram datagram;
  const auto received = [&] {
    std::size_t count = 0;
    while (client.receive(datagram).value() == Channel::Receive::message) ++count;
    return count;
  };
  ASSERT_TRUE(test::poll_until({&context}, [&] { return received() == 1; }));  // HELLO
  constexpr std::uint16_t regions = 40;
  const Fd file(::memfd_create("region", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 4096), 0);
  client.send(message::emit(message::Init{.version = 0x0200, .name = "eager"}));
  for (std::uint16_t i = 0; i < regions; ++i)
    client.send(message::emit(message::AddRegion{.index = i, .size = 4096}), file.get());
  ASSERT_FALSE(client.wants_write());
  ASSERT_EQ(context.poll(10s), PollResult::handled);
  std::size_t acknowledged = received();
  EXPECT_GT(acknowledged, 0u);
  EXPECT_LE(acknowledged, 32u);  // one turn for its messages, and one because there are more
  EXPECT_TRUE(test::poll_until({&context}, [&] { return (acknowledged += received()) == regions + 1u; }));
}

// Answers that nobody reads are memory of whoever gave them, for as long as the peer likes.
TEST(Closing, PeerThatReadsNoAnswersGetsFew) {
  const std::string socket = test::unique_socket();
  Context context;
  Interface& server = context.add({.socket = socket, .role = Role::server, .handshake_timeout = 200ms});
  Channel client(std::move(connect_to(*parse_address(socket))).value());
  const Fd file(::memfd_create("region", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 4096), 0);
  client.send(message::emit(message::Init{.version = 0x0200, .name = "deaf"}));
  for (std::uint16_t i = 0; i < 100; ++i)
    client.send(message::emit(message::AddRegion{.index = i, .size = 4096}), file.get());
  ASSERT_FALSE(client.wants_write());
  std::size_t turns = 0;  // what is not taken is no reason to come back at once
  ASSERT_TRUE(test::poll_until({&context}, [&] { return ++turns, server.info().refusals == 1; }));
  EXPECT_LT(turns, 1000u);
  Datagram datagram;
  std::size_t answers = 0;
  while (client.receive(datagram).value() == Channel::Receive::message) ++answers;
  EXPECT_GT(answers, 1u);
  EXPECT_LT(answers, 16u);
}

}  // namespace
}  // namespace memif
