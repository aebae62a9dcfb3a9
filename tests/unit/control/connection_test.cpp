// The hosts of the handshake, seen from the other end of a real channel: messages in turn, the deadline, the end.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

#include <memif/memif.hpp>

#include "unit/control/stranger.hpp"
#include "unit/data/links.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;
using test::poll_until;
using test::Stranger;

Reason last_reason(const Interface& interface) { return interface.info().last_reason.value_or(Reason{}); }

// A server, and a client that is the test.
class ServerConnection : public testing::Test {
 protected:
  void say_init() {
    message::Init init;
    init.version = 0x0200;
    init.name = "stranger";
    client_.say(init);
  }
  // All that comes before CONNECT, with an acknowledgement of each unless the client does not wait for that.
  void announce(bool waits) {
    const auto acknowledged = [&] {
      if (waits) {
        EXPECT_TRUE(client_.hear_one<message::Ack>());
      }
    };
    say_init();
    acknowledged();
    client_.say(message::AddRegion{.index = 0, .size = link_->regions[0].size()}, link_->regions[0].fd());
    acknowledged();
    for (const auto& ring : detail::ring_specs(*link_)) {
      message::AddRing message;
      message.s2m = ring.s2m;
      message.index = ring.index;
      message.offset = ring.offset;
      message.log2_ring_size = ring.log2_size;
      client_.say(message, link_->ring(ring.s2m, ring.index)->interrupt.get());
      acknowledged();
    }
  }
  void connect() {
    ASSERT_TRUE(client_.hear_one<message::Hello>());
    announce(true);
    client_.say(message::Connect{"eth7"});
    ASSERT_TRUE(client_.hear_one<message::Connected>());
    ASSERT_TRUE(server_.connected());
  }

  const std::string name_ = test::unique_socket();
  Context context_{{.app_name = "host"}};
  Interface& server_ = context_.add({.socket = name_, .role = Role::server, .handshake_timeout = 60s});
  std::shared_ptr<detail::Link> link_ = test::client_link({.socket = name_, .ring_size = 8});
  Stranger client_{context_, connect_to(*parse_address(name_)).value()};
};

TEST_F(ServerConnection, GreetsAndThenLetsTheClientBegin) {
  const auto hello = client_.hear_one<message::Hello>();
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->name, "host");
  EXPECT_TRUE(client_.hears_nothing());
}

TEST_F(ServerConnection, AnswersEachMessageAndIsUpWithTheLast) {
  ASSERT_NO_FATAL_FAILURE(connect());
  const InterfaceInfo info = server_.info();
  ASSERT_TRUE(info.peer);
  EXPECT_EQ(info.peer->app_name, "stranger");
  EXPECT_EQ(info.peer->interface_name, "eth7");
  EXPECT_EQ(info.peer->credentials.pid, ::getpid());
  EXPECT_EQ(info.rx.size(), 1u);
  EXPECT_EQ(info.tx.size(), 1u);
  EXPECT_TRUE(client_.hears_nothing());
}

TEST_F(ServerConnection, TakesAllThatWasSaidBeforeThePeerWentAway) {
  announce(false);
  client_.say(message::Connect{"eth7"});
  client_.close();
  ASSERT_TRUE(poll_until({&context_}, [&] { return server_.info().disconnects == 1; })) << last_reason(server_).text;
  EXPECT_EQ(server_.info().connects, 1u);
  EXPECT_EQ(last_reason(server_).code, Errc::peer_gone);
  EXPECT_FALSE(last_reason(server_).from_peer);
}

TEST_F(ServerConnection, TellsThePeerWhyItEndsAndCloses) {
  ASSERT_NO_FATAL_FAILURE(connect());
  server_.disconnect("maintenance");
  const auto end = client_.hear_one<message::Disconnect>();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->text, "maintenance");
  EXPECT_FALSE(client_.hear());
  EXPECT_EQ(last_reason(server_).code, Errc::closed);
}

TEST_F(ServerConnection, EndsInThePeersWordsAndSaysNothingMore) {
  ASSERT_NO_FATAL_FAILURE(connect());
  client_.say(message::Disconnect{7, "going home"});
  EXPECT_FALSE(client_.hear());
  EXPECT_EQ(last_reason(server_).code, Errc::peer_disconnected);
  EXPECT_TRUE(last_reason(server_).from_peer);
  EXPECT_EQ(last_reason(server_).text, "going home");
}

TEST(ServerConnectionDeadline, EndsAPeerThatDoesNotGoOn) {
  Context context;
  const std::string name = test::unique_socket();
  Interface& server = context.add({.socket = name, .role = Role::server, .handshake_timeout = 20ms});
  Stranger client(context, connect_to(*parse_address(name)).value());
  ASSERT_TRUE(client.hear_one<message::Hello>());
  const auto end = client.hear_one<message::Disconnect>();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, static_cast<std::uint32_t>(Errc::timed_out));
  EXPECT_FALSE(client.hear());
  EXPECT_EQ(context.listener_stats(name)->last_refusal.value_or(Reason{}).code, Errc::timed_out);
  EXPECT_EQ(server.info().refusals, 0u) << "no interface was named";
}

// A client, and a server that is the test.
class ClientConnection : public testing::Test {
 protected:
  void greet() { server_.say(message::Hello{"stranger", 0x0200, 0x0200, 255, 255, 255, 14}); }
  void expect_refused(std::error_code code, bool from_peer) {
    ASSERT_TRUE(poll_until({&context_}, [&] { return client_.info().refusals == 1; }));
    EXPECT_EQ(last_reason(client_).code, code) << last_reason(client_).text;
    EXPECT_EQ(last_reason(client_).from_peer, from_peer);
    EXPECT_EQ(client_.info().connects + client_.info().disconnects, 0u);
  }

  const std::string name_ = test::unique_socket();
  const Fd listener_ = test::listen_at(name_);
  Context context_{{.app_name = "host"}};
  Interface& client_ =
      context_.add({.socket = name_, .id = 9, .name = "eth9", .reconnect = 0ms, .handshake_timeout = 60s});
  Stranger server_{context_, Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC))};
};

TEST_F(ClientConnection, SaysOneThingAfterTheOtherEachWhenItIsItsTurn) {
  EXPECT_TRUE(server_.hears_nothing());
  greet();
  const auto init = server_.hear_one<message::Init>();
  ASSERT_TRUE(init);
  EXPECT_EQ(init->id, 9u);
  EXPECT_EQ(init->name, "host");
  EXPECT_TRUE(server_.hears_nothing());
  server_.say(message::Ack{});
  const auto region = server_.hear_one<message::AddRegion>();
  ASSERT_TRUE(region);
  EXPECT_TRUE(server_.fd());
  EXPECT_TRUE(server_.hears_nothing());
  for (const bool s2m : {true, false}) {
    server_.say(message::Ack{});
    const auto ring = server_.hear_one<message::AddRing>();
    ASSERT_TRUE(ring);
    EXPECT_EQ(ring->s2m, s2m);
    EXPECT_TRUE(server_.fd());
    EXPECT_TRUE(server_.hears_nothing());
  }
  server_.say(message::Ack{});
  const auto connect = server_.hear_one<message::Connect>();
  ASSERT_TRUE(connect);
  EXPECT_EQ(connect->interface_name, "eth9");
  EXPECT_FALSE(client_.connected());
  server_.say(message::Connected{"eth0"});
  ASSERT_TRUE(poll_until({&context_}, [&] { return client_.connected(); }));
  EXPECT_EQ(client_.info().peer->app_name, "stranger");
  EXPECT_EQ(client_.info().peer->interface_name, "eth0");
  EXPECT_TRUE(server_.hears_nothing());
}

TEST_F(ClientConnection, IsRefusedInTheServersWords) {
  greet();
  ASSERT_TRUE(server_.hear_one<message::Init>());
  server_.say(message::Disconnect{4, "no such interface"});
  expect_refused(Errc::peer_refused, true);
  EXPECT_NE(last_reason(client_).text.find("no such interface"), std::string::npos);
  EXPECT_FALSE(server_.hear());
}

TEST_F(ClientConnection, NoticesAServerThatGoesWithoutAWord) {
  greet();
  ASSERT_TRUE(server_.hear_one<message::Init>());
  server_.say(message::Ack{});
  ASSERT_TRUE(server_.hear_one<message::AddRegion>());
  server_.close();
  expect_refused(Errc::peer_gone, false);
}

TEST_F(ClientConnection, DoesNotTakeHalfAMessage) {
  const std::array<std::byte, 64> half{};
  server_.say_bytes(half.data(), half.size());
  expect_refused(Errc::malformed_message, false);
}

TEST_F(ClientConnection, EndsItsAttemptWhenItIsToldTo) {
  greet();
  ASSERT_TRUE(server_.hear_one<message::Init>());
  server_.say(message::Ack{});
  ASSERT_TRUE(server_.hear_one<message::AddRegion>());
  client_.disconnect("changed my mind");
  EXPECT_EQ(server_.hear_one<message::Disconnect>().value_or(message::Disconnect{}).text, "changed my mind");
  EXPECT_FALSE(server_.hear());
  expect_refused(Errc::closed, false);
}

}  // namespace
}  // namespace memif
