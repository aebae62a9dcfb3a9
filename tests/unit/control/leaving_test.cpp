// How a context's clients leave, seen from the other end of a real channel. docs/protocol.md, "Leaving".
#include <cerrno>
#include <cstddef>
#include <gtest/gtest.h>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>

#include <memif/memif.hpp>

#include "protocol/message.hpp"
#include "support/pair.hpp"
#include "support/resources.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;

// A server whose steps are the test's.
class ClientLeaves : public testing::Test {
 protected:
  ClientLeaves() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name_.copy(address.sun_path + 1, sizeof address.sun_path - 1, 1);  // instead of the '@'
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(listener_.get(), 100), 0);
  }

  InterfaceConfig config() const { return {.socket = name_, .reconnect = 0ms, .handshake_timeout = 20ms}; }
  Fd accept() const { return Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

  static bool greet(const Fd& client) {
    const message::Datagram hello = message::emit(message::Hello{"stranger", 0x0200, 0x0200, 255, 255, 255, 14});
    return ::send(client.get(), hello.data(), hello.size(), MSG_NOSIGNAL) > 0;
  }
  // 0 when the client closed, a message's type, or less than 0: the error.
  static int hear(const Fd& client) {
    message::Datagram data{};
    const ssize_t length = ::recv(client.get(), data.data(), data.size(), 0);
    return length > 0 ? std::to_integer<int>(data[0]) : length == 0 ? 0 : -errno;
  }
  bool poll_until_refused(const Interface& interface) {
    return test::poll_until({&context_}, [&] { return interface.info().refusals != 0; });
  }
  static bool ended(const Fd& client) {
    pollfd entry{client.get(), POLLIN, 0};
    return ::poll(&entry, 1, 0) != 0;
  }

  const std::string name_ = test::unique_socket();
  Fd listener_{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
  Context context_;
};

TEST_F(ClientLeaves, AClientWhoseTimeIsOverBeforeTheGreetingStaysForIt) {
  Interface& interface = context_.add(config());
  ASSERT_TRUE(poll_until_refused(interface));
  const Fd client = accept();
  ASSERT_TRUE(greet(client)) << "ends programs of libmemif 4.0";
  ASSERT_TRUE(test::poll_until({&context_}, [&] { return ended(client); }));
  EXPECT_EQ(hear(client), -ECONNRESET);
}

TEST_F(ClientLeaves, AnInterfaceThatIsRemovedBeforeTheGreetingStaysForIt) {
  context_.remove(context_.add(config()));
  context_.poll(0ms);
  const Fd client = accept();
  ASSERT_TRUE(greet(client));
  ASSERT_TRUE(test::poll_until({&context_}, [&] { return ended(client); }));
  EXPECT_EQ(hear(client), -ECONNRESET);
}

TEST_F(ClientLeaves, ThoseWhoWaitAreLetGoWhenTheListenerCloses) {
  for (int i = 0; i < 3; ++i) context_.remove(context_.add(config()));
  const std::size_t before = test::open_descriptors();
  listener_.reset();
  ASSERT_TRUE(test::poll_until({&context_}, [&] { return test::open_descriptors() == before - 4; }));
}

TEST_F(ClientLeaves, AListenerThatGreetsNobodyCostsSoManyDescriptorsAndNoMore) {
  const std::size_t before = test::open_descriptors();
  for (int i = 0; i < 90; ++i) context_.remove(context_.add(config()));
  context_.poll(0ms);
  EXPECT_EQ(test::open_descriptors(), before + 64);
}

TEST_F(ClientLeaves, AContextThatEndsLeavesAGreetingThatIsThereUnread) {
  auto context = std::make_unique<Context>();
  context->add(config());
  const Fd client = accept();
  ASSERT_TRUE(greet(client));
  context.reset();
  EXPECT_EQ(hear(client), -ECONNRESET);
}

TEST_F(ClientLeaves, AClientWithoutMemoryToOfferSaysNothing) {
  InterfaceConfig without = config();
  without.memory_hooks =
      std::make_shared<MemoryHooks>(MemoryHooks{.provide = [](std::uint64_t) { return MemoryHooks::Mapped{}; }});
  Interface& interface = context_.add(std::move(without));
  const Fd client = accept();
  ASSERT_TRUE(greet(client));
  ASSERT_TRUE(poll_until_refused(interface));
  EXPECT_EQ(hear(client), -ECONNRESET);
}

TEST_F(ClientLeaves, AClientWhoseInitIsNotAcknowledgedGoesWithoutAWord) {
  Interface& interface = context_.add(config());
  const Fd client = accept();
  ASSERT_TRUE(greet(client));
  ASSERT_TRUE(poll_until_refused(interface));
  EXPECT_EQ(hear(client), 3);  // INIT
  EXPECT_EQ(hear(client), 0);
}

TEST_F(ClientLeaves, AClientThatWasAcknowledgedSaysWhy) {
  Interface& interface = context_.add(config());
  const Fd client = accept();
  ASSERT_TRUE(greet(client));
  ASSERT_TRUE(test::poll_until({&context_}, [&] { return ended(client); }));
  EXPECT_EQ(hear(client), 3);
  const message::Datagram ack = message::emit(message::Ack{});
  ASSERT_GT(::send(client.get(), ack.data(), ack.size(), 0), 0);
  ASSERT_TRUE(poll_until_refused(interface));
  EXPECT_EQ(hear(client), 4);  // ADD_REGION
  EXPECT_EQ(hear(client), 8);  // DISCONNECT
}

class ClientLeavesThreads : public ClientLeaves {};

TEST_F(ClientLeavesThreads, AContextThatEndsWaitsForTheGreeting) {
  auto context = std::make_unique<Context>();
  context->add(config());
  bool greeted = false;
  std::thread server([&] {
    ::poll(nullptr, 0, 50);  // the context is on its way out by then, or it has what it needs
    const Fd client = accept();
    greeted = greet(client);
  });
  context.reset();
  server.join();
  EXPECT_TRUE(greeted);
}

TEST_F(ClientLeaves, AContextThatEndsDoesNotWaitForLong) {
  const auto began = Clock::now();
  auto context = std::make_unique<Context>();
  context->add(config());
  context.reset();
  EXPECT_LT(Clock::now() - began, 10s);
}

TEST_F(ClientLeavesThreads, AVisitorWhoOnlyAsksLeavesTheGreetingUnread) {
  Result<ListenerInfo> info = Error{};
  std::thread asking([&] { info = probe(name_, 10s); });
  const Fd client = accept();
  EXPECT_TRUE(greet(client));
  asking.join();
  EXPECT_EQ(hear(client), -ECONNRESET);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->app_name, "stranger");
}

}  // namespace
}  // namespace memif
