// A context: what may be added and what is left behind, how long it listens, how it is polled and woken.
#include <chrono>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <utility>

#include <memif/memif.hpp>

#include "protocol/address.hpp"
#include "support/pair.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;
using test::poll_until;
using test::unique_socket;

Fd listening(const std::string& name) {
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const SocketAddress address = to_sockaddr(*parse_address(name));
  EXPECT_EQ(::bind(socket.get(), address.get(), address.length), 0);
  EXPECT_EQ(::listen(socket.get(), 4), 0);
  return socket;
}

bool somebody_listens(const std::string& name) { return connect_to(*parse_address(name)).ok(); }

TEST(ContextTest, RefusesANameThatDoesNotFit) {
  EXPECT_NO_THROW(Context({.app_name = std::string(32, 'n')}));
  EXPECT_THROW(Context({.app_name = std::string(33, 'n')}), Exception);
}

TEST(ContextTest, NamesAnInterfaceThatHasNoName) {
  Context context;
  EXPECT_EQ(context.add({.socket = unique_socket(), .id = 7}).config().name, "memif/7");
  EXPECT_EQ(context.add({.socket = unique_socket(), .id = 7, .name = "eth7"}).config().name, "eth7");
}

TEST(ContextTest, NamesInterfacesThatHaveNoNameSoThatTheyCanBeToldApart) {
  Context context;
  Interface& first = context.add({.socket = unique_socket(), .id = 7});
  EXPECT_EQ(context.add({.socket = unique_socket(), .id = 7}).config().name, "memif1/7");
  EXPECT_EQ(context.add({.socket = unique_socket(), .id = 7}).config().name, "memif2/7");
  EXPECT_EQ(context.add({.socket = unique_socket(), .id = 8}).config().name, "memif/8");
  context.remove(first);
  EXPECT_EQ(context.add({.socket = unique_socket(), .id = 7}).config().name, "memif/7");
  EXPECT_EQ(context.add({.socket = unique_socket(), .id = 9, .name = "memif/7"}).config().name, "memif/7");
}

TEST(ContextTest, WhatCannotBeAddedLeavesNothingBehind) {
  Context context;
  const std::string socket = unique_socket();
  EXPECT_FALSE(context.try_add({.socket = socket, .role = Role::server, .rx_queues = 0}));
  EXPECT_THROW(context.add({.socket = socket, .role = Role::server, .rx_queues = 0}), Exception);
  EXPECT_EQ(context.listener_fd(socket), -1);
  Interface& first = context.add({.socket = socket, .role = Role::server});
  const auto same = context.try_add({.socket = socket, .role = Role::server});
  ASSERT_FALSE(same);
  EXPECT_EQ(same.error().code, Errc::invalid_config);
  EXPECT_EQ(same.error().message, "id 0: there is an interface of that id on " + socket);
  context.remove(first);
  EXPECT_TRUE(context.try_add({.socket = socket, .role = Role::server}));
}

TEST(ContextTest, AClientWithoutAServerIsAdded) {
  Context context;
  Interface& client = context.add({.socket = unique_socket(), .reconnect = 0ms});
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(client.info().last_reason.value_or(Reason{}).code, std::errc::connection_refused);
  EXPECT_EQ(client.info().refusals, 0u) << "nobody refused";
}

TEST(ContextTest, ListensForAsLongAsItHasAServerThere) {
  Context context;
  const std::string socket = unique_socket();
  Interface& first = context.add({.socket = socket, .id = 1, .role = Role::server});
  const int fd = context.listener_fd(socket);
  EXPECT_GE(fd, 0);
  Interface& second = context.add({.socket = socket, .id = 2, .role = Role::server});
  EXPECT_EQ(context.listener_fd(socket), fd);
  context.remove(first);
  EXPECT_TRUE(somebody_listens(socket));
  context.remove(second);
  EXPECT_EQ(context.listener_fd(socket), -1);
  EXPECT_FALSE(context.listener_stats(socket));
  EXPECT_FALSE(somebody_listens(socket));
}

TEST(ContextTest, ASocketThatWasHandedOverServesAndStays) {
  Context context;
  const std::string socket = unique_socket();
  ASSERT_TRUE(context.adopt_listener(socket, listening(socket)));
  Interface& server = context.add({.socket = socket, .role = Role::server});
  Interface& client = context.add({.socket = socket});
  EXPECT_TRUE(poll_until({&context}, [&] { return server.connected() && client.connected(); }));
  context.remove(server);
  EXPECT_TRUE(somebody_listens(socket));
  const Status again = context.adopt_listener(socket, listening(unique_socket()));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::address_in_use);
  EXPECT_EQ(context.adopt_listener(unique_socket(), Fd()).error().code, Errc::not_a_socket);
}

TEST(ContextTest, IsWokenOnceHoweverOften) {
  Context context;
  EXPECT_EQ(context.poll(0ms), PollResult::timed_out);
  context.wake();
  context.wake();
  EXPECT_EQ(context.poll(60s), PollResult::woken);
  EXPECT_EQ(context.poll(0ms), PollResult::timed_out);
}

TEST(ContextTest, CanBeNestedInALoopThatWatchesItsDescriptor) {
  Context context;
  pollfd entry{context.fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&entry, 1, 0), 0);
  context.wake();
  EXPECT_EQ(::poll(&entry, 1, 0), 1);
  context.poll(0ms);
  EXPECT_EQ(::poll(&entry, 1, 0), 0);
}

TEST(ContextTest, InALoopOfTheApplicationsIsNotPolled) {
  class Loop final : public EventLoop {
   public:
    Status add(int, unsigned) override { return Nothing{}; }
    Status change(int, unsigned) override { return Nothing{}; }
    void remove(int) noexcept override {}
    void set_timer(std::optional<Clock::time_point>) noexcept override {}
  } loop;
  Context context({.loop = &loop});
  EXPECT_THROW(context.poll(0ms), std::logic_error);
  EXPECT_EQ(context.fd(), -1);
  context.handle(12345);  // nobody's
  context.handle_timer();
}

TEST(ContextTest, MovesWithItsInterfaces) {
  const std::string socket = unique_socket();
  Context first;
  Interface& server = first.add({.socket = socket, .role = Role::server});
  Interface& client = first.add({.socket = socket});
  Context second = std::move(first);
  EXPECT_TRUE(poll_until({&second}, [&] { return server.connected() && client.connected(); }));
}

TEST(ContextTest, MayBeDestroyedInACallbackOfItsOwn) {
  const std::string socket = unique_socket();
  Context other;
  other.add({.socket = socket, .role = Role::server});
  auto context = std::make_unique<Context>();
  context->add({.socket = socket, .on_connected = [&](Interface&) { context.reset(); }});
  EXPECT_TRUE(poll_until({&other}, [&] {
    if (context) context->poll(1ms);
    return !context;
  }));
}

TEST(ContextThreads, IsWokenFromAnotherThread) {
  Context context;
  std::thread waking([&] { context.wake(); });
  EXPECT_EQ(context.poll(60s), PollResult::woken);
  waking.join();
}

}  // namespace
}  // namespace memif
