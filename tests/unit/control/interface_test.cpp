// What an interface tells of its links: callbacks, reasons, counters, and when it tries again.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <vector>

#include <memif/memif.hpp>

#include "support/pair.hpp"
#include "unit/control/stranger.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;
using test::poll_until;

// Two of them in one context. What they call is written down.
class InterfaceTest : public testing::Test {
 protected:
  Interface& add(Role role, InterfaceConfig config = {.socket = ""}) {
    config.socket = socket_;
    config.role = role;
    const std::string who = to_string(role);
    if (!config.on_connected) config.on_connected = [this, who](Interface&) { calls_.push_back(who + " up"); };
    if (!config.on_disconnected)
      config.on_disconnected = [this, who](Interface&, const Reason&) { calls_.push_back(who + " down"); };
    return context_.add(config);
  }
  // Until both have called for the last time: callbacks come with the state that they tell of.
  bool reach(std::size_t calls) {
    return poll_until({&context_}, [&] { return calls_.size() >= calls; }) && calls_.size() == calls;
  }
  bool called(const std::string& what) const { return std::count(calls_.begin(), calls_.end(), what) == 1; }

  const std::string socket_ = test::unique_socket();
  const InterfaceConfig once_{.socket = "", .reconnect = 0ms};  // a client that does not come back by itself
  std::vector<std::string> calls_;
  Context context_;
};

TEST_F(InterfaceTest, CallsForEachLinkAndForItsEnd) {
  Interface& server = add(Role::server);
  Interface& client = add(Role::client, once_);
  ASSERT_TRUE(reach(2));
  EXPECT_TRUE(called("server up") && called("client up"));
  client.disconnect();
  ASSERT_TRUE(reach(4));
  EXPECT_TRUE(called("server down") && called("client down"));
  client.connect();
  ASSERT_TRUE(reach(6));
  for (const Interface* one : {&server, &client}) {
    EXPECT_EQ(one->info().connects, 2u);
    EXPECT_EQ(one->info().disconnects, 1u);
    EXPECT_EQ(one->info().refusals, 0u);
  }
}

// Each attempt, on both sides, with the reason. Who finds nobody is not told so again and again.
TEST_F(InterfaceTest, CallsForEachPeerThatIsRefused) {
  std::vector<std::string> server_told, client_told;
  InterfaceConfig client = once_, server{.socket = ""};
  client.secret = "guess";
  client.on_refused = [&](Interface&, const Reason& why) { client_told.push_back(why.text); };
  server.secret = "secret";
  server.on_refused = [&](Interface&, const Reason& why) {
    EXPECT_EQ(why.code, Errc::wrong_secret);
    server_told.push_back(why.text);
  };
  Interface& alone = add(Role::client, client);
  context_.poll(1ms);
  EXPECT_TRUE(client_told.empty());
  add(Role::server, server);
  for (std::size_t attempt = 1; attempt <= 2; ++attempt) {
    alone.connect();
    ASSERT_TRUE(
        poll_until({&context_}, [&] { return server_told.size() == attempt && client_told.size() == attempt; }));
    EXPECT_EQ(client_told.back(), server_told.back());
    EXPECT_EQ(alone.info().refusals, attempt);
  }
  EXPECT_TRUE(calls_.empty());
}

// With the listener, whose last interface it is.
TEST_F(InterfaceTest, MayBeRemovedWhereARefusalIsTold) {
  InterfaceConfig client = once_, server{.socket = ""};
  int removed = 0;
  client.secret = "guess";
  server.secret = "secret";
  client.on_refused = server.on_refused = [&](Interface& self, const Reason&) {
    context_.remove(self);
    ++removed;
  };
  add(Role::server, server);
  add(Role::client, client);
  ASSERT_TRUE(poll_until({&context_}, [&] { return removed == 2; }));
  EXPECT_EQ(context_.listener_fd(socket_), -1);
}

// An attempt that the program itself ends is told as well; not the end of the interface.
TEST_F(InterfaceTest, CallsForAnAttemptThatEndsHere) {
  const Fd deaf = test::listen_at(socket_);
  InterfaceConfig client = once_;
  std::vector<Reason> told;
  client.on_refused = [&](Interface&, const Reason& why) { told.push_back(why); };
  Interface& self = add(Role::client, client);
  self.disconnect("no more");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].code, Errc::closed);
  EXPECT_EQ(told[0].text, "no more");
  self.connect();
  context_.remove(self);
  EXPECT_EQ(told.size(), 1u);
}

TEST_F(InterfaceTest, IsInCallbacksWhatTheyTellOf) {
  InterfaceConfig client = once_;
  int told = 0;
  client.on_connected = [&](Interface& self) {
    ++told;
    EXPECT_TRUE(self.connected());
    EXPECT_TRUE(self.info().peer);
    EXPECT_TRUE(self.tx(0).up());
  };
  client.on_disconnected = [&](Interface& self, const Reason& why) {
    ++told;
    EXPECT_FALSE(self.connected());
    EXPECT_FALSE(self.info().peer);
    EXPECT_FALSE(self.tx(0).up());
    EXPECT_EQ(self.info().last_reason.value_or(Reason{}).text, why.text);
  };
  Interface& server = add(Role::server);
  add(Role::client, client);
  ASSERT_TRUE(poll_until({&context_}, [&] { return told == 1 && server.connected(); }));
  server.disconnect();
  EXPECT_TRUE(poll_until({&context_}, [&] { return told == 2; }));
}

TEST_F(InterfaceTest, KnowsWhetherItWasThePeerThatEndedTheLink) {
  Interface& server = add(Role::server);
  Interface& client = add(Role::client, once_);
  ASSERT_TRUE(reach(2));
  server.disconnect("too late in the evening");
  ASSERT_TRUE(reach(4));
  const Reason own = server.info().last_reason.value_or(Reason{}), peers = client.info().last_reason.value_or(Reason{});
  EXPECT_EQ(own.code, Errc::closed);
  EXPECT_FALSE(own.from_peer);
  EXPECT_EQ(peers.code, Errc::peer_disconnected);
  EXPECT_TRUE(peers.from_peer);
  EXPECT_EQ(own.text, "too late in the evening");
  EXPECT_EQ(peers.text, own.text);
}

TEST_F(InterfaceTest, CountsRefusalsOnBothSidesAndCallsNobody) {
  InterfaceConfig secretive{.socket = ""}, wrong = once_;
  secretive.secret = "right";
  wrong.secret = "wrong";
  Interface& server = add(Role::server, secretive);
  Interface& client = add(Role::client, wrong);
  ASSERT_TRUE(poll_until({&context_}, [&] { return client.info().refusals == 1; }));
  EXPECT_EQ(server.info().refusals, 1u);
  EXPECT_EQ(server.info().last_reason.value_or(Reason{}).code, Errc::wrong_secret);
  EXPECT_EQ(client.info().last_reason.value_or(Reason{}).code, Errc::peer_refused);
  EXPECT_TRUE(calls_.empty());
}

TEST_F(InterfaceTest, DescribesRegionsAndRingsOfALinkOnly) {
  Interface& server = add(Role::server);
  InterfaceConfig two = once_;
  two.ring_size = 64;
  Interface& client = add(Role::client, two);
  EXPECT_TRUE(client.info().regions.empty() && client.info().rx.empty());
  ASSERT_TRUE(reach(2));
  const InterfaceInfo of_client = client.info(), of_server = server.info();
  ASSERT_EQ(of_client.tx.size(), 1u);
  ASSERT_EQ(of_server.rx.size(), 1u);
  EXPECT_EQ(of_client.tx[0].ring_size, 64u);
  EXPECT_EQ(of_client.tx[0].offset, of_server.rx[0].offset);
  EXPECT_EQ(of_client.tx[0].buffer_size, 2048u);
  EXPECT_EQ(of_server.rx[0].buffer_size, 0u) << "the peer chose them";
  ASSERT_EQ(of_client.regions.size(), 1u);
  EXPECT_EQ(of_client.regions[0].size, of_server.regions.at(0).size);
  client.disconnect();
  EXPECT_TRUE(client.info().regions.empty() && client.info().tx.empty());
}

TEST_F(InterfaceTest, ThatIsConnectedDoesNotConnectAgain) {
  Interface& server = add(Role::server);
  Interface& client = add(Role::client, once_);
  EXPECT_EQ(client.try_connect().error().code, Errc::already_connected) << "the first attempt is going on";
  ASSERT_TRUE(reach(2));
  EXPECT_EQ(client.try_connect().error().code, Errc::already_connected);
  EXPECT_TRUE(server.try_connect()) << "a server waits anyway";
  EXPECT_EQ(client.info().connects, 1u);
}

TEST_F(InterfaceTest, ThatIsDownIsNotDisconnectedOnceMore) {
  Interface& server = add(Role::server);
  Interface& client = add(Role::client, once_);
  ASSERT_TRUE(reach(2));
  client.disconnect("once");
  ASSERT_TRUE(reach(4));
  client.disconnect("twice");
  server.disconnect("twice");
  EXPECT_EQ(client.info().disconnects, 1u);
  EXPECT_EQ(client.info().last_reason.value_or(Reason{}).text, "once");
  EXPECT_EQ(server.info().last_reason.value_or(Reason{}).text, "once");
  EXPECT_EQ(calls_.size(), 4u);
}

TEST_F(InterfaceTest, MayEndItsLinkInTheCallbackThatTellsOfIt) {
  InterfaceConfig unwilling{.socket = ""};
  unwilling.on_connected = [&](Interface& self) { self.disconnect("not now"); };
  Interface& server = add(Role::server, unwilling);
  Interface& client = add(Role::client, once_);
  ASSERT_TRUE(poll_until({&context_}, [&] { return client.info().last_reason.has_value(); }));
  EXPECT_TRUE(called("server down"));
  EXPECT_EQ(server.info().connects, 1u);
  EXPECT_EQ(server.info().disconnects, 1u);
  EXPECT_EQ(client.info().last_reason->text, "not now");
}

TEST_F(InterfaceTest, MayConnectInTheCallbackOfItsEnd) {
  InterfaceConfig eager = once_;
  eager.on_disconnected = [](Interface& self, const Reason&) { self.connect(); };
  Interface& server = add(Role::server);
  Interface& client = add(Role::client, eager);
  for (std::uint64_t link = 1; link <= 3; ++link) {
    ASSERT_TRUE(poll_until({&context_}, [&] { return server.info().connects == link && client.connected(); }));
    server.disconnect();
  }
}

TEST_F(InterfaceTest, ThatIsRemovedCallsNobodyAndItsPeerIsTold) {
  Interface& server = add(Role::server);
  Interface& client = add(Role::client, once_);
  ASSERT_TRUE(reach(2));
  context_.remove(client);
  ASSERT_TRUE(reach(3));
  EXPECT_TRUE(called("server down"));
  EXPECT_TRUE(server.info().last_reason->from_peer);
  EXPECT_EQ(server.info().last_reason->text, "interface removed");
}

// A loop in which nothing happens but what the test does.
class StillLoop final : public EventLoop {
 public:
  Status add(int, unsigned) override { return Nothing{}; }
  Status change(int, unsigned) override { return Nothing{}; }
  void remove(int) noexcept override {}
  void set_timer(std::optional<Clock::time_point> when) noexcept override { timer = when; }
  std::optional<Clock::time_point> timer;
};

TEST(InterfaceReconnect, IsSetForWhenAPeriodIsGivenAndOnlyThen) {
  StillLoop loop;
  Context context({.loop = &loop});
  const std::string nobody = test::unique_socket();
  Interface& once = context.add({.socket = nobody, .reconnect = 0ms});
  EXPECT_TRUE(once.info().last_reason) << "it was tried";
  EXPECT_FALSE(loop.timer);
  context.add({.socket = nobody, .reconnect = 1h});
  ASSERT_TRUE(loop.timer);
  const auto again = Clock::now();
  EXPECT_LE(*loop.timer, again) << "at once";
  context.handle_timer();
  ASSERT_TRUE(loop.timer);
  EXPECT_GE(*loop.timer, again + 10ms) << "and then later and later";
}

TEST(InterfaceReconnect, EndsWithTheInterface) {
  StillLoop loop;
  Context context({.loop = &loop});
  Interface& client = context.add({.socket = test::unique_socket(), .reconnect = 1h});
  ASSERT_TRUE(loop.timer);
  context.remove(client);
  EXPECT_FALSE(loop.timer);
}

}  // namespace
}  // namespace memif
