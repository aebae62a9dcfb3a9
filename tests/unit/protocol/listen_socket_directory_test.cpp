// The directory of a socket: what is said when it is in the way, and what is left in it.
#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/listen_socket.hpp"
#include "support/nobody.hpp"
#include "support/traced.hpp"
#include "unit/protocol/listen_socket_fixture.hpp"

namespace memif {
namespace {

using test::as_nobody;
using test::ListenSocketTest;

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

}  // namespace
}  // namespace memif
