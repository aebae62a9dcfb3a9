// A listening socket and who comes to it: whom it accepts, whom it drops for others, when it ends.
#include <array>
#include <cerrno>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <memif/memif.hpp>

#include "control/context_impl.hpp"
#include "unit/control/stranger.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;
using test::Stranger;

constexpr std::size_t most_unidentified = 3;

class ListenerTest : public testing::Test {
 protected:
  Interface& add(std::uint32_t id) {
    return context_.add({.socket = name_, .id = id, .role = Role::server, .handshake_timeout = 60s});
  }
  ListenerStats stats() const { return context_.listener_stats(name_).value(); }

  // Clients, each of which has been greeted.
  void come(std::size_t count) {
    for (; count != 0; --count) {
      clients_.push_back(std::make_unique<Stranger>(context_, connect_to(*parse_address(name_)).value()));
      ASSERT_TRUE(clients_.back()->hear_one<message::Hello>());
    }
  }
  void name_interface(std::size_t client, std::uint32_t id) {
    clients_[client]->say(message::Init{.version = 0x0200, .id = id, .name = "stranger"});
    ASSERT_TRUE(clients_[client]->hear_one<message::Ack>());
  }
  // It is told why, and then the connection is over.
  void expect_dropped(std::size_t client) {
    EXPECT_TRUE(clients_[client]->hear_one<message::Disconnect>());
    clients_[client]->close();
  }

  const std::string name_ = test::unique_socket();
  Context context_{{.max_unidentified_connections = most_unidentified}};
  std::vector<std::unique_ptr<Stranger>> clients_;
};

TEST_F(ListenerTest, DropsTheOldestThatSaidNothingForANewer) {
  add(0);
  ASSERT_NO_FATAL_FAILURE(come(most_unidentified));
  EXPECT_EQ(stats().evicted, 0u);
  ASSERT_NO_FATAL_FAILURE(come(2));
  expect_dropped(0);
  expect_dropped(1);
  for (std::size_t client = 2; client < clients_.size(); ++client) EXPECT_TRUE(clients_[client]->hears_nothing());
  EXPECT_EQ(stats().accepted, most_unidentified + 2);
  EXPECT_EQ(stats().evicted, 2u);
  EXPECT_EQ(stats().refused, 2u);
  EXPECT_EQ(stats().last_refusal.value().code, Errc::evicted);
}

TEST_F(ListenerTest, DropsNoneThatHasNamedItsInterface) {
  add(0);
  add(1);
  ASSERT_NO_FATAL_FAILURE(come(most_unidentified));
  ASSERT_NO_FATAL_FAILURE(name_interface(0, 1));
  ASSERT_NO_FATAL_FAILURE(name_interface(1, 0));
  ASSERT_NO_FATAL_FAILURE(come(2));
  EXPECT_EQ(stats().evicted, 0u);
  ASSERT_NO_FATAL_FAILURE(come(1));
  expect_dropped(2);
  for (const std::size_t client : {0u, 1u, 3u, 4u, 5u}) EXPECT_TRUE(clients_[client]->hears_nothing());
}

// So that a flood of connections leaves time for those that are there.
TEST_F(ListenerTest, AcceptsSomeAtATime) {
  add(0);
  std::vector<Fd> visitors;
  for (int i = 0; i < 40; ++i) visitors.push_back(connect_to(*parse_address(name_)).value());
  std::uint64_t accepted = 0;
  for (int turns = 0; accepted < visitors.size(); ++turns) {
    ASSERT_LT(turns, 10);
    context_.poll(0ms);
    EXPECT_LE(stats().accepted - accepted, 16u);
    accepted = stats().accepted;
  }
}

TEST_F(ListenerTest, EndsWithItsLastInterfaceAndWithItWhoHasNamedNone) {
  Interface& first = add(0);
  Interface& second = add(1);
  ASSERT_NO_FATAL_FAILURE(come(1));
  context_.remove(first);
  EXPECT_TRUE(clients_[0]->hears_nothing());
  context_.remove(second);
  expect_dropped(0);
  EXPECT_FALSE(context_.listener_stats(name_));
  const auto refused = connect_to(*parse_address(name_));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, std::errc::connection_refused);
  add(0);
  ASSERT_NO_FATAL_FAILURE(come(1));
}

TEST_F(ListenerTest, StaysWithoutInterfacesIfItsSocketIsTheProgramsOwn) {
  ASSERT_TRUE(context_.adopt_listener(name_, test::listen_at(name_)));
  Interface& only = add(0);
  context_.remove(only);
  ASSERT_NO_FATAL_FAILURE(come(1));
  clients_[0]->say(message::Init{.version = 0x0200, .id = 0, .name = "stranger"});
  expect_dropped(0);
  EXPECT_EQ(stats().refused, 1u);
  add(0);
  ASSERT_NO_FATAL_FAILURE(come(1));
  ASSERT_NO_FATAL_FAILURE(name_interface(1, 0));
}

// What it says is gathered once, and is that of the interfaces that there are.
TEST(ListenerIdentity, FollowsItsInterfaces) {
  detail::ContextImpl context({.app_name = "host"});
  const std::string name = test::unique_socket();
  const auto add = [&](std::uint32_t id, std::chrono::milliseconds timeout) {
    auto added = context.add({.socket = name, .id = id, .role = Role::server, .handshake_timeout = timeout});
    EXPECT_TRUE(added);
    return *added;
  };
  detail::InterfaceImpl* const brief = add(0, 1s);
  detail::Listener* const listener = context.listener(*parse_address(name));
  ASSERT_NE(listener, nullptr);
  EXPECT_EQ(listener->identity().app_name, "host");
  EXPECT_EQ(listener->identity().timeout, 1s);
  detail::InterfaceImpl* const patient = add(1, 5s);
  EXPECT_EQ(listener->identity().timeout, 5s) << "whoever it is for, it is not known yet";
  EXPECT_EQ(listener->find(0), brief);
  EXPECT_EQ(listener->find(1), patient);
  EXPECT_EQ(listener->find(2), nullptr);
  context.remove(*patient);
  EXPECT_EQ(listener->identity().timeout, 1s);
  EXPECT_EQ(listener->find(1), nullptr);
  EXPECT_FALSE(listener->idle());
}

}  // namespace
}  // namespace memif
