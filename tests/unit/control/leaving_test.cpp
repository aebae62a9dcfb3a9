// How a context's clients leave, seen from the other end of a real channel. docs/protocol.md, "Leaving".
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <set>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <memif/memif.hpp>

#include "protocol/address.hpp"
#include "protocol/message.hpp"
#include "support/pair.hpp"
#include "support/resources.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;

// A server whose steps are the test's.
class ClientLeaves : public testing::Test {
 protected:
  InterfaceConfig config() const { return {.socket = name_, .reconnect = 0ms, .handshake_timeout = 20ms}; }
  Fd accept() const { return accept_from(listener_); }

  static Fd accept_from(const Fd& listener) { return Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)); }
  static bool somebody_waits_at(const Fd& listener) {
    pollfd entry{listener.get(), POLLIN, 0};
    return ::poll(&entry, 1, 0) != 0;
  }
  static Fd listen_at(const std::string& name) {
    Fd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const SocketAddress address = to_sockaddr(*parse_address(name));
    EXPECT_EQ(::bind(listener.get(), address.get(), address.length), 0);
    EXPECT_EQ(::listen(listener.get(), 100), 0);
    return listener;
  }

  static bool greet(const Fd& client) {
    const message::Bytes hello = message::emit(message::Hello{"stranger", 0x0200, 0x0200, 255, 255, 255, 14});
    return ::send(client.get(), hello.data(), hello.size(), MSG_NOSIGNAL) > 0;
  }
  // 0 when the client closed, a message's type, or less than 0: the error.
  static int hear(const Fd& client) {
    message::Bytes data{};
    const ssize_t length = ::recv(client.get(), data.data(), data.size(), 0);
    return length > 0 ? std::to_integer<int>(data[0]) : length == 0 ? 0 : -errno;
  }
  // Interfaces that are there at the same time, and then removed.
  void visit_at_once(int count) {
    std::vector<Interface*> interfaces;
    for (int i = 0; i < count; ++i) interfaces.push_back(&context_.add(config()));
    for (Interface* interface : interfaces) context_.remove(*interface);
    context_.poll(0ms);
  }
  bool poll_until_refused(const Interface& interface) {
    return test::poll_until({&context_}, [&] { return interface.info().refusals != 0; });
  }
  static bool ended(const Fd& client) {
    pollfd entry{client.get(), POLLIN, 0};
    return ::poll(&entry, 1, 0) != 0;
  }

  const std::string name_ = test::unique_socket();
  Fd listener_ = listen_at(name_);
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
  visit_at_once(3);
  const std::size_t before = test::open_descriptors();
  listener_.reset();
  ASSERT_TRUE(test::poll_until({&context_}, [&] { return test::open_descriptors() == before - 4; }));
}

TEST_F(ClientLeaves, AllWhoWaitAtOneTimeStayForTheirGreetings) {
  visit_at_once(90);
  for (int i = 0; i < 90; ++i) ASSERT_TRUE(greet(accept())) << i;
}

TEST_F(ClientLeaves, WhoeverComesBackBeforeTheGreetingDoesNotComeTwice) {
  const std::size_t before = test::open_descriptors();
  for (int i = 0; i < 90; ++i) context_.remove(context_.add(config()));
  context_.poll(0ms);
  EXPECT_EQ(test::open_descriptors(), before + 1);
  Interface& interface = context_.add(config());
  const Fd client = accept();
  ASSERT_TRUE(greet(client));
  EXPECT_FALSE(somebody_waits_at(listener_));
  ASSERT_TRUE(test::poll_until({&context_}, [&] { return ended(client); }));
  EXPECT_EQ(hear(client), 3) << "INIT: the channel is as good as a new one";
  EXPECT_EQ(interface.info().refusals, 0u);
}

TEST_F(ClientLeaves, AClientThatGoesOnTryingWaitsOnOneChannel) {
  InterfaceConfig impatient = config();
  impatient.reconnect = impatient.handshake_timeout = 1ms;
  Interface& interface = context_.add(std::move(impatient));
  ASSERT_TRUE(test::poll_until({&context_}, [&] { return interface.info().refusals > 80; }));
  const Fd client = accept();
  EXPECT_FALSE(somebody_waits_at(listener_));
  EXPECT_TRUE(greet(client));
}

TEST_F(ClientLeaves, AChannelToAServerThatWasReplacedIsNotUsedAgain) {
  char directory[] = "/tmp/memif-leaving-XXXXXX";
  ASSERT_NE(::mkdtemp(directory), nullptr);
  const std::string path = std::string(directory) + "/m.sock";
  InterfaceConfig at_path = config();
  at_path.socket = path;
  const Fd stopped = listen_at(path);
  context_.remove(context_.add(at_path));
  ASSERT_EQ(::unlink(path.c_str()), 0);
  const Fd another = listen_at(path);
  context_.remove(context_.add(at_path));
  EXPECT_TRUE(somebody_waits_at(another)) << "the new server would never be found";
  EXPECT_TRUE(greet(accept_from(stopped)));
  ::unlink(path.c_str());
  ::rmdir(directory);
}

// A program's loop, or a system that lets nothing more be watched.
class RefusingLoop final : public EventLoop {
 public:
  Status add(int fd, unsigned) override {
    if (refuses) return Error{std::make_error_code(std::errc::no_space_on_device), "refused"};
    watched.insert(fd);
    return Nothing{};
  }
  Status change(int, unsigned) override { return Nothing{}; }
  void remove(int fd) noexcept override { watched.erase(fd); }
  void set_timer(std::optional<Clock::time_point> when) noexcept override { timer = when; }

  bool refuses = false;
  std::set<int> watched;
  std::optional<Clock::time_point> timer;
};

TEST_F(ClientLeaves, AChannelThatCannotBeWatchedStaysForTheGreetingToo) {
  RefusingLoop loop;
  Context context({.loop = &loop});
  loop.refuses = true;
  const std::size_t before = test::open_descriptors();
  for (int i = 0; i < 3; ++i) {
    Interface& interface = context.add(config());
    EXPECT_EQ(interface.info().refusals, 1u);
    context.remove(interface);
  }
  const Fd client = accept();
  EXPECT_EQ(test::open_descriptors(), before + 2);
  ASSERT_TRUE(greet(client));
  ASSERT_TRUE(loop.timer) << "nobody looks";
  std::this_thread::sleep_until(*std::exchange(loop.timer, std::nullopt));
  context.handle_timer();
  EXPECT_EQ(hear(client), -ECONNRESET);
  EXPECT_FALSE(loop.timer);
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
  const message::Bytes ack = message::emit(message::Ack{});
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

TEST_F(ClientLeaves, AVisitorWhoseTimeIsOverStaysForTheGreeting) {
  for (int i = 0; i < 2; ++i) EXPECT_EQ(probe(name_, 0ms).error().code, Errc::timed_out);
  const Fd client = accept();
  ASSERT_TRUE(greet(client)) << "ends programs of libmemif 4.0";
  EXPECT_FALSE(somebody_waits_at(listener_)) << "the second went on where the first had stopped";
  listener_.reset();
  EXPECT_FALSE(probe(name_, 0ms));
  EXPECT_EQ(hear(client), -ECONNRESET) << "the next visitor lets it go";
}

TEST_F(ClientLeaves, AVisitOfAParentIsNotItsChilds) {
  ASSERT_FALSE(probe(name_, 0ms));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(probe(name_, 0ms).error().code == Errc::timed_out ? 0 : 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(greet(accept()));
  EXPECT_TRUE(somebody_waits_at(listener_)) << "the child went on with its parent's";
}

TEST_F(ClientLeavesThreads, AVisitorMayWaitForEver) {
  Result<ListenerInfo> info = Error{};
  std::thread asking([&] { info = probe(name_, -1ms); });
  const Fd client = accept();
  EXPECT_TRUE(greet(client));
  asking.join();
  EXPECT_TRUE(info);
}

}  // namespace
}  // namespace memif
