#include "protocol/listen_socket.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <memory>
#include <set>
#include <string>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "support/nobody.hpp"
#include "support/resources.hpp"
#include "support/traced.hpp"

namespace memif {
namespace {

using test::as_nobody;

class ListenSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/memif-listen-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    path_ = dir_ + "/s";
    address_ = *parse_address(path_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  bool exists() const { return std::filesystem::exists(std::filesystem::symlink_status(path_)); }

  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(dir_)) all.insert(entry.path().filename());
    return all;
  }

  // A socket file that nobody listens on, as a killed process leaves it.
  void leave_stale_file() const {
    const Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const SocketAddress target = to_sockaddr(address_);
    ASSERT_EQ(::bind(fd.get(), target.get(), target.length), 0);
  }

  std::string dir_, path_;
  Address address_;
};

std::size_t open_fds() { return test::open_descriptors(); }

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0);
  return status.st_mode & mode_t{07777};
}

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
  const std::size_t before = open_fds();
  {
    auto socket = ListenSocket::open(address_, {});
    ASSERT_TRUE(socket);
    ListenSocket moved = std::move(*socket);
    EXPECT_TRUE(exists());
  }
  EXPECT_FALSE(exists());
  EXPECT_EQ(open_fds(), before);
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

TEST_F(ListenSocketTest, DirectoryTroubleIsNamed) {
  const auto missing = ListenSocket::open(*parse_address(dir_ + "/none/s"), {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, std::errc::no_such_file_or_directory);
  EXPECT_NE(missing.error().message.find("there is no directory " + dir_ + "/none"), std::string::npos);
  { const Fd file(::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)); }
  const auto file = ListenSocket::open(*parse_address(path_ + "/s"), {});
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, std::errc::not_a_directory);
}

TEST_F(ListenSocketTest, MissingPermissionNamesTheDirectory) {
  if (::geteuid() != 0) GTEST_SKIP() << "becoming another user needs root";
  ASSERT_EQ(::chmod(dir_.c_str(), 0755), 0);
  EXPECT_EQ(as_nobody([&] {
              const auto socket = ListenSocket::open(address_, {});
              return !socket && socket.error().code == std::errc::permission_denied &&
                     socket.error().message.find("no permission to create a file in " + dir_) != std::string::npos;
            }),
            0);
}

TEST_F(ListenSocketTest, DirectoryNeedNotBeReadable) {
  if (::geteuid() != 0) GTEST_SKIP() << "becoming another user needs root";
  ASSERT_EQ(::chmod(dir_.c_str(), 0733), 0);
  EXPECT_EQ(as_nobody([&] { return ListenSocket::open(address_, {}).ok(); }), 0);
  leave_stale_file();
  ASSERT_EQ(::chmod(path_.c_str(), 0777), 0);
  EXPECT_EQ(as_nobody([&] { return ListenSocket::open(address_, {}).ok(); }), 0);
}

TEST_F(ListenSocketTest, LockedDirectoryStopsNobody) {
  const Fd holder(::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(holder.get(), LOCK_EX), 0);
  { EXPECT_TRUE(ListenSocket::open(address_, {})); }
  leave_stale_file();
  const auto socket = ListenSocket::open(address_, {});
  EXPECT_TRUE(socket) << socket.error().message;
}

// Somebody who may write in the directory has given another program's directory the name that ours would have.
TEST_F(ListenSocketTest, ALiveSocketInADirectoryOfThatNameIsLeftAlone) {
  const std::string other = dir_ + "/.s.memif";
  ASSERT_EQ(::mkdir(other.c_str(), 0700), 0);
  const auto live = ListenSocket::open(*parse_address(other + "/s"), {});
  ASSERT_TRUE(live) << live.error().message;
  {
    const auto socket = ListenSocket::open(address_, {});
    ASSERT_TRUE(socket) << socket.error().message;
    EXPECT_TRUE(connect_to(address_));
  }
  EXPECT_TRUE(connect_to(*parse_address(other + "/s")));
  EXPECT_EQ(names(), std::set<std::string>{".s.memif"});
}

TEST_F(ListenSocketTest, NothingElseIsLeftInTheDirectory) {
  for (const bool stale : {false, true}) {
    if (stale) leave_stale_file();
    {
      const auto socket = ListenSocket::open(address_, {});
      ASSERT_TRUE(socket);
      EXPECT_EQ(names(), std::set<std::string>{"s"});
    }
    EXPECT_EQ(names(), std::set<std::string>{});
  }
}

// At each place where a process can be killed: whatever it leaves, the next one works as ever and clears it away.
TEST_F(ListenSocketTest, KilledAnywhereItLeavesNothingThatStays) {
  unsigned last = 1;
  for (unsigned at = 0; at < last; ++at) {
    unsigned stop = 0;
    leave_stale_file();
    const int code = test::run_traced([&] { return ListenSocket::open(address_, {.mode = 0600}) ? 0 : 1; },
                                      [&](pid_t pid) {
                                        if (stop++ == at) ::kill(pid, SIGKILL);
                                      });
    if (code == test::cannot_be_traced) GTEST_SKIP() << "processes cannot be traced here";
    last = std::max(last, stop + (code == -1 ? 1 : 0));
    {
      const auto socket = ListenSocket::open(address_, {});
      ASSERT_TRUE(socket) << "killed at stop " << at << ": " << socket.error().message;
      EXPECT_EQ(names(), std::set<std::string>{"s"}) << "killed at stop " << at;
    }
    ASSERT_EQ(names(), std::set<std::string>{}) << "killed at stop " << at;
  }
  EXPECT_GT(last, 20u);
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

// Others may have taken the name of the directory in which the socket is made.
TEST_F(ListenSocketTest, StrangersFilesOfThatNameDoNotMatterAndStay) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving files away needs root";
  const std::string taken = dir_ + "/.s.memif";
  const auto works = [&] {
    const FileIdentity before = identify(AT_FDCWD, taken.c_str());
    {
      const auto socket = ListenSocket::open(address_, {});
      ASSERT_TRUE(socket) << socket.error().message;
    }
    EXPECT_EQ(identify(AT_FDCWD, taken.c_str()), before);
    EXPECT_EQ(names(), std::set<std::string>{".s.memif"});
    std::filesystem::remove_all(taken);
  };
  ASSERT_EQ(::mkdir(taken.c_str(), 0700), 0);
  ASSERT_EQ(::chown(taken.c_str(), test::nobody, test::nogroup), 0);
  works();
  ASSERT_EQ(::mkdir(taken.c_str(), 0700), 0);
  ASSERT_EQ(::chmod(taken.c_str(), 0770), 0);
  works();
  ASSERT_EQ(::symlink("/tmp", taken.c_str()), 0);
  works();
  { const Fd file(::open(taken.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)); }
  works();
}

TEST_F(ListenSocketTest, ModeIsExactWhateverTheUmask) {
  const mode_t before = ::umask(0077);
  {
    const auto socket = ListenSocket::open(address_, {.mode = 0666, .owner = {}, .group = {}});
    EXPECT_TRUE(socket);
    EXPECT_EQ(mode_of(path_), 0666u);
  }
  ::umask(0);
  {
    const auto socket = ListenSocket::open(address_, {.mode = 0600, .owner = {}, .group = {}});
    EXPECT_TRUE(socket);
    EXPECT_EQ(mode_of(path_), 0600u);
  }
  ::umask(0027);
  {
    const auto socket = ListenSocket::open(address_, {});
    EXPECT_TRUE(socket);
    EXPECT_EQ(mode_of(path_), 0750u);
  }
  ::umask(before);
}

TEST_F(ListenSocketTest, OwnerAndGroupAreSet) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving files away needs root";
  const auto socket = ListenSocket::open(address_, {.mode = 0660, .owner = 12, .group = 34});
  ASSERT_TRUE(socket);
  struct stat status {};
  ASSERT_EQ(::lstat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 12u);
  EXPECT_EQ(status.st_gid, 34u);
  EXPECT_EQ(mode_of(path_), 0660u);
}

TEST_F(ListenSocketTest, FailureAfterBindLeavesNoFile) {
  if (::geteuid() != 0) GTEST_SKIP() << "becoming another user needs root";
  ASSERT_EQ(::chmod(dir_.c_str(), 0777), 0);
  EXPECT_EQ(as_nobody([&] {
              const auto socket = ListenSocket::open(address_, {.mode = {}, .owner = 0, .group = {}});
              return !socket && socket.error().message.find("owner") != std::string::npos;
            }),
            0);
  EXPECT_FALSE(exists());
}

TEST_F(ListenSocketTest, SomeoneElsesFileOfTheNameStays) {
  {
    const auto socket = ListenSocket::open(address_, {});
    ASSERT_TRUE(socket);
    ASSERT_EQ(::unlink(path_.c_str()), 0);
    leave_stale_file();
  }
  EXPECT_TRUE(exists());
}

TEST_F(ListenSocketTest, RelativePathIsUnlinkedFromWhereItWas) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir_);
  {
    const auto socket = ListenSocket::open(*parse_address("s"), {});
    ASSERT_TRUE(socket) << socket.error().message;
    EXPECT_TRUE(exists());
    std::filesystem::current_path(before);
  }
  EXPECT_FALSE(exists());
}

TEST_F(ListenSocketTest, ForkedChildDoesNotUnlink) {
  auto socket = std::make_unique<Result<ListenSocket>>(ListenSocket::open(address_, {}));
  ASSERT_TRUE(*socket);
  const pid_t pid = ::fork();
  if (pid == 0) {
    socket.reset();
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(exists());
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
  const std::size_t before = open_fds();
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
  EXPECT_EQ(open_fds(), before);
}

}  // namespace
}  // namespace memif
