// What is still to be closed or unmapped for a peer's user holds back that user, in both roles, and only for as long.
#include <array>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include <memif/memif.hpp>

#include "base/deferred.hpp"
#include "protocol/address.hpp"
#include "protocol/channel.hpp"
#include "protocol/message.hpp"
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

}  // namespace
}  // namespace memif
