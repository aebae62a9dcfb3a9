// There is no moment in which a socket file is wider than asked for, or open to others than asked for. Only system
// calls change a file: a process that makes one and removes it is stopped before and after each of its calls, and
// looked at.
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "protocol/listen_socket.hpp"
#include "support/traced.hpp"

namespace memif {
namespace {

struct Case {
  const char* name;
  mode_t umask;
  SocketFile wanted;
  mode_t mode;  // that the file has in the end
  bool needs_root = false;
};

class SocketMode : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    char name[] = "/tmp/memif-mode-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  // Its exit code; `looks_` is what was seen of the file on the way.
  int watch(const Case& how) {
    const std::string path = dir_ + "/s";
    const Address address = *parse_address(path);
    return test::run_traced(
        [&] {
          ::umask(how.umask);
          return ListenSocket::open(address, how.wanted) ? 0 : 1;
        },
        [&](pid_t) {
          struct stat file {};
          if (::lstat(path.c_str(), &file) == 0) looks_.push_back(file);
        });
  }

  std::string dir_;
  std::vector<struct stat> looks_;
};

TEST_P(SocketMode, IsAtNoMomentWiderThanAsked) {
  const Case& how = GetParam();
  if (how.needs_root && ::geteuid() != 0) GTEST_SKIP() << "giving files away needs root";
  const int code = watch(how);
  if (code == test::cannot_be_traced) GTEST_SKIP() << "processes cannot be traced here";
  ASSERT_EQ(code, 0);
  ASSERT_GE(looks_.size(), 4u);
  const uid_t owner = how.wanted.owner.value_or(::geteuid());
  const gid_t group = how.wanted.group.value_or(::getegid());
  for (const struct stat& file : looks_) {
    const mode_t mode = file.st_mode & mode_t{07777};
    EXPECT_EQ(mode & ~how.mode, 0u) << std::oct << mode;
    if ((mode & 077u) == 0) continue;
    EXPECT_EQ(file.st_uid, owner);
    EXPECT_EQ(file.st_gid, group);
  }
  EXPECT_EQ(looks_.back().st_mode & mode_t{07777}, how.mode);
}

INSTANTIATE_TEST_SUITE_P(
    Wanted, SocketMode,
    testing::Values(Case{"OwnerOnlyUnderNoUmask", 0, {.mode = 0600, .owner = {}, .group = {}}, 0600},
                    Case{"NobodyUnderNoUmask", 0, {.mode = 0, .owner = {}, .group = {}}, 0},
                    Case{"EveryoneUnderATightUmask", 0077, {.mode = 0666, .owner = {}, .group = {}}, 0666},
                    Case{"WhatTheUmaskLeaves", 0027, {}, 0750},
                    Case{"AnotherGroup", 0, {.mode = 0660, .owner = 12, .group = 34}, 0660, true}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace memif
