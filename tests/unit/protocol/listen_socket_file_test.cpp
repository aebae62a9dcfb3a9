// The file of a socket: whose it is, its mode, and who unlinks it.
#include <filesystem>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/listen_socket.hpp"
#include "support/nobody.hpp"
#include "unit/protocol/listen_socket_fixture.hpp"

namespace memif {
namespace {

using test::as_nobody;
using test::ListenSocketTest;

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0);
  return status.st_mode & mode_t{07777};
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

}  // namespace
}  // namespace memif
