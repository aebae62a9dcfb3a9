// Listening: whom a socket of that name belongs to, alive, left behind, abstract or handed over.
#include "protocol/listen_socket.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <memory>
#include <set>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "support/resources.hpp"
#include "unit/protocol/listen_socket_fixture.hpp"

namespace memif {
namespace {

using test::ListenSocketTest;
using test::open_descriptors;

TEST_F(ListenSocketTest, AcceptsConnectionsNonBlockingAndCloseOnExec) {
  auto socket = ListenSocket::open(address_, {});
  ASSERT_TRUE(socket) << socket.error().message;
  EXPECT_EQ(socket->accept().error().code, std::errc::resource_unavailable_try_again);
  const auto client = connect_to(address_);
  ASSERT_TRUE(client);
  const auto fd = socket->accept();
  ASSERT_TRUE(fd);
  EXPECT_TRUE(::fcntl((*fd).get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(::fcntl((*fd).get(), F_GETFD) & FD_CLOEXEC);
}

TEST_F(ListenSocketTest, FileAndDescriptorsGoWithIt) {
  const std::size_t before = open_descriptors();
  {
    auto socket = ListenSocket::open(address_, {});
    ASSERT_TRUE(socket);
    ListenSocket moved = std::move(*socket);
    EXPECT_TRUE(exists());
  }
  EXPECT_FALSE(exists());
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(ListenSocketTest, LeftoverIsReplaced) {
  leave_stale_file();
  const auto socket = ListenSocket::open(address_, {});
  ASSERT_TRUE(socket) << socket.error().message;
  EXPECT_TRUE(connect_to(address_));
}

TEST_F(ListenSocketTest, LiveListenerIsLeftAloneAndNamed) {
  auto first = ListenSocket::open(address_, {});
  ASSERT_TRUE(first);
  const auto second = ListenSocket::open(address_, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::address_in_use);
  EXPECT_EQ(second.error().message, path_ + " is in use by a live socket (ss -xlp tells whose)");
  EXPECT_TRUE(connect_to(address_));
}

// Programs of others end when a visitor connects and leaves at once.
TEST_F(ListenSocketTest, WhoeverListensThereAlreadyIsNotDisturbed) {
  for (const int type : {SOCK_SEQPACKET, SOCK_STREAM}) {
    const Fd other(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const SocketAddress target = to_sockaddr(address_);
    ASSERT_EQ(::bind(other.get(), target.get(), target.length), 0);
    ASSERT_EQ(::listen(other.get(), 4), 0);
    const auto socket = ListenSocket::open(address_, {});
    ASSERT_FALSE(socket);
    EXPECT_EQ(socket.error().code, Errc::address_in_use);
    EXPECT_EQ(Fd(::accept(other.get(), nullptr, nullptr)).get(), -1) << "somebody was at the door";
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_TRUE(exists());
    std::filesystem::remove(path_);
  }
}

TEST_F(ListenSocketTest, SocketsOfAnyTypeThatDoNotListenAreAliveToo) {
  for (const int type : {SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM}) {
    const Fd other(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    const SocketAddress target = to_sockaddr(address_);
    ASSERT_EQ(::bind(other.get(), target.get(), target.length), 0);
    const auto socket = ListenSocket::open(address_, {});
    ASSERT_FALSE(socket);
    EXPECT_EQ(socket.error().code, Errc::address_in_use);
    EXPECT_TRUE(exists());
    std::filesystem::remove(path_);
  }
}

TEST_F(ListenSocketTest, WhatIsNoSocketIsLeftAlone) {
  const auto refused = [&](const char* kind) {
    const auto socket = ListenSocket::open(address_, {});
    ASSERT_FALSE(socket);
    EXPECT_EQ(socket.error().code, Errc::not_a_socket);
    EXPECT_NE(socket.error().message.find(kind), std::string::npos) << socket.error().message;
    EXPECT_TRUE(exists());
    std::filesystem::remove(path_);
  };
  { const Fd file(::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)); }
  refused("a regular file");
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  refused("a directory");
  ASSERT_EQ(::symlink("nowhere", path_.c_str()), 0);
  refused("a symbolic link");
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  refused("a pipe");
}

// Its end takes a while; nobody waits for it here.
TEST_F(ListenSocketTest, ProcessKilledAMomentAgoIsReplacedAtOnce) {
  for (const std::string& name : {path_, "@memif-killed" + std::to_string(::getpid())}) {
    const Address address = *parse_address(name);
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
      const auto socket = ListenSocket::open(address, {});
      std::vector<char> memory(64 << 20, 'x');  // takes a while to be freed
      [[maybe_unused]] const ssize_t told = ::write(ready[1], "x", 1);
      for (;;) ::pause();
    }
    char byte;
    ASSERT_EQ(::read(ready[0], &byte, 1), 1);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    const auto socket = ListenSocket::open(address, {});
    EXPECT_TRUE(socket) << socket.error().message;
    EXPECT_TRUE(connect_to(address));
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
    ::close(ready[0]);
    ::close(ready[1]);
  }
}

// Each round leaves a stale file and lets many openers loose on it: exactly one may win, and its socket must be the one
// that the path leads to.
TEST_F(ListenSocketTest, OfManyAtOnceExactlyOneWins) {
  for (int round = 0; round < 20; ++round) {
    leave_stale_file();
    std::atomic<int> waiting{4};
    std::vector<std::unique_ptr<Result<ListenSocket>>> results(4);
    std::vector<std::thread> openers;
    for (auto& result : results) {
      openers.emplace_back([&] {
        --waiting;
        while (waiting > 0) std::this_thread::yield();
        result = std::make_unique<Result<ListenSocket>>(ListenSocket::open(address_, {}));
      });
    }
    for (auto& opener : openers) opener.join();
    const auto client = connect_to(address_);
    ASSERT_TRUE(client) << client.error().message;
    int winners = 0, accepted = 0;
    for (auto& result : results) {
      if (!*result) {
        EXPECT_EQ(result->error().code, Errc::address_in_use) << result->error().message;
        continue;
      }
      ++winners;
      while ((*result)->accept()) ++accepted;
    }
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(accepted, 1);
    EXPECT_EQ(names(), std::set<std::string>{"s"});
    for (auto& result : results) result.reset();
    ASSERT_EQ(names(), std::set<std::string>{});
  }
}

TEST(AbstractListenSocket, ListensAndIsFreeAgainAfterwards) {
  const Address address = *parse_address("@memif-listen-test" + std::to_string(::getpid()));
  {
    const auto socket = ListenSocket::open(address, {});
    ASSERT_TRUE(socket);
    EXPECT_TRUE(connect_to(address));
    const auto second = ListenSocket::open(address, {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::address_in_use);
    EXPECT_NE(second.error().message.find("in use by a live socket"), std::string::npos);
    EXPECT_TRUE(connect_to(address));
  }
  EXPECT_TRUE(ListenSocket::open(address, {}));
}

TEST(AbstractListenSocket, HasNoFileToSetAModeOf) {
  const auto socket = ListenSocket::open(*parse_address("@x"), {.mode = 0600, .owner = {}, .group = {}});
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code, Errc::invalid_config);
}

TEST_F(ListenSocketTest, AdoptedSocketWorksAndKeepsItsFile) {
  {
    Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET, 0));
    const SocketAddress target = to_sockaddr(address_);
    ASSERT_EQ(::bind(fd.get(), target.get(), target.length), 0);
    ASSERT_EQ(::listen(fd.get(), 4), 0);
    auto socket = ListenSocket::adopt(address_, std::move(fd));
    ASSERT_TRUE(socket) << socket.error().message;
    EXPECT_TRUE(::fcntl(socket->fd(), F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(::fcntl(socket->fd(), F_GETFD) & FD_CLOEXEC);
    EXPECT_TRUE(connect_to(address_));
    EXPECT_TRUE(socket->accept());
  }
  EXPECT_TRUE(exists());
}

TEST_F(ListenSocketTest, WhatCannotBeAdoptedIsRefusedAndClosed) {
  const std::size_t before = open_descriptors();
  const auto refused = [&](Fd fd, Errc code, const char* words) {
    const auto socket = ListenSocket::adopt(address_, std::move(fd));
    ASSERT_FALSE(socket);
    EXPECT_EQ(socket.error().code, code);
    EXPECT_NE(socket.error().message.find(words), std::string::npos) << socket.error().message;
  };
  refused(Fd(), Errc::not_a_socket, "not a socket");
  refused(Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)), Errc::not_a_socket, "not a socket");
  refused(Fd(::socket(AF_INET, SOCK_STREAM, 0)), Errc::invalid_config, "not a UNIX socket");
  refused(Fd(::socket(AF_UNIX, SOCK_STREAM, 0)), Errc::invalid_config, "SOCK_SEQPACKET");
  refused(Fd(::socket(AF_UNIX, SOCK_SEQPACKET, 0)), Errc::invalid_config, "does not listen");
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace memif
