// What the tests of listening sockets share: a directory of their own, and the name of a socket in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <sys/socket.h>

#include <memif/fd.hpp>

#include "protocol/address.hpp"

namespace memif::test {

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

}  // namespace memif::test
