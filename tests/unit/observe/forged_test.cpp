// Publications of others: what a peer passes to a program is not believed, and what it does to its lock is mended.
#include <array>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memif/memif.hpp>

#include "observe/process_file.hpp"
#include "observe/published.hpp"
#include "support/pair.hpp"
#include "unit/observe/observe_fixture.hpp"

namespace memif {
namespace {

using test::Damaged;
using test::poll_until;
using test::Published;
using test::seen_on;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// What a peer can do: a memory file with the name and all the contents of a publication, passed to this process.
class Forged : public Damaged {
 protected:
  Forged() {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()), 0);
    child_ = ::fork();
    if (child_ == 0) {
      auto forged = identity();
      forged.pid = ::getppid();
      std::memcpy(forged.app_name.bytes, "forged", 7);
      const Fd file = publish(forged);  // and locked, by the child
      send(file);
      char byte;
      ::_exit(static_cast<int>(::read(ends_[1], &byte, 1)));
    }
    received_ = receive();
  }
  ~Forged() override {
    ::shutdown(ends_[0], SHUT_RDWR);
    ::waitpid(child_, nullptr, 0);
    for (const int end : ends_) ::close(end);
  }

  void send(const Fd& file) {
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = file.get();
    std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
    EXPECT_EQ(::sendmsg(ends_[1], &message, 0), 1);
  }
  Fd receive() {
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    EXPECT_EQ(::recvmsg(ends_[0], &message, MSG_CMSG_CLOEXEC), 1);
    int fd = -1;
    if (const cmsghdr* const head = CMSG_FIRSTHDR(&message)) std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
    return Fd(fd);
  }

  std::array<int, 2> ends_{};
  pid_t child_ = -1;
  Fd received_;
};

TEST_F(Forged, AFileOfAPeersIsNotBelievedAndBlindsNobody) {
  Published pair;
  const auto seen = observe(::getpid()).value();
  ASSERT_THAT(seen.interfaces, SizeIs(2));
  for (const ObservedInterface& one : seen.interfaces) EXPECT_EQ(one.app_name, "observed");
  EXPECT_EQ(seen.skipped, 1u);
  EXPECT_THAT(seen.why->message, HasSubstr("did not publish itself"));
}

TEST_F(Forged, NorIsAMappingOfIt) {
  void* const data = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, received_.get(), 0);
  ASSERT_NE(data, MAP_FAILED);
  EXPECT_THAT(observe(::getpid()).value().interfaces, IsEmpty());
  ::munmap(data, 4096);
}

// The kernel's record of a lock is of a process's number, which may have been another's. A peer of another user has
// only files that are its own.
TEST(Observe, AFileOfAnotherUsersIsNotBelievedWhoeverHasLockedIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving a file to another user needs root";
  Published pair;
  const auto all = [](uid_t owner) {
    return detail::each_memory_file(
        ::getpid(), published::file_name, [owner](int fd) { return ::fchown(fd, owner, static_cast<gid_t>(-1)) == 0; },
        [] { return true; });
  };
  ASSERT_TRUE(all(65534));
  EXPECT_THAT(seen_on(pair.socket), IsEmpty());
  EXPECT_EQ(observe(::getpid()).value().skipped, 2u);
  ASSERT_TRUE(all(0));
  EXPECT_THAT(seen_on(pair.socket), SizeIs(2));
}

// The lock by which a publication is known goes with any descriptor of the file that its process closes.
TEST(Observe, AProcessThatLooksAtItselfIsSeenByOthersAsBefore) {
  Published pair;
  for (int i = 0; i < 3; ++i) EXPECT_THAT(seen_on(pair.socket), SizeIs(2));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(static_cast<int>(observe(::getppid()).value().interfaces.size()));
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 2);
}

// As a peer of the same user makes it do, which sends it that descriptor.
TEST(Observe, AProgramThatLostItsLockTakesItAgainWhenItsLinkChanges) {
  Published pair({.socket = "", .reconnect = std::chrono::milliseconds(0)});
  ASSERT_TRUE(pair.connect());
  const auto seen_by_others = [] {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(static_cast<int>(observe(::getppid()).value().interfaces.size()));
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  const auto close_another = [](int fd) {
    const Fd another(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(another);
    return true;
  };
  ASSERT_TRUE(detail::each_memory_file(::getpid(), published::file_name, close_another, [] { return true; }));
  EXPECT_EQ(seen_by_others(), 0);
  pair.client->disconnect();
  ASSERT_TRUE(poll_until({&pair.context}, [&] { return !pair.server->connected(); }));
  EXPECT_EQ(seen_by_others(), 2);
}

}  // namespace
}  // namespace memif
