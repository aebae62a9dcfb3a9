#include "protocol/address.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace memif {
namespace {

using namespace std::string_literals;

struct TempDir {
  TempDir() {
    char name[] = "/tmp/memif-address-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string path;
};

Fd listener(const Address& address, int type = SOCK_SEQPACKET) {
  Fd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const SocketAddress target = to_sockaddr(address);
  EXPECT_EQ(::bind(fd.get(), target.get(), target.length), 0);
  EXPECT_EQ(::listen(fd.get(), 4), 0);
  return fd;
}

std::string unique_name(const char* what) { return "@memif-test-"s + what + std::to_string(::getpid()); }

TEST(Address, PathIsTakenAsItIs) {
  const auto address = parse_address("run/x.sock");
  ASSERT_TRUE(address);
  EXPECT_FALSE((*address).abstract);
  EXPECT_EQ((*address).name, "run/x.sock");
  EXPECT_EQ((*address).text, "run/x.sock");
}

TEST(Address, AtAndNulBothMeanAbstract) {
  for (const std::string& text : {"@name"s, "\0name"s}) {
    const auto address = parse_address(text);
    ASSERT_TRUE(address);
    EXPECT_TRUE((*address).abstract);
    EXPECT_EQ((*address).name, "name");
    EXPECT_EQ((*address).text, "@name");
  }
}

TEST(Address, NamespaceOptionsAreTakenOffTheName) {
  const auto by_name = parse_address("@a,b,netns_name=blue");
  ASSERT_TRUE(by_name);
  EXPECT_EQ((*by_name).name, "a,b");
  EXPECT_EQ((*by_name).netns_name, "blue");
  EXPECT_EQ((*by_name).text, "@a,b,netns_name=blue");
  const auto by_pid = parse_address("@a,netns_pid=123");
  ASSERT_TRUE(by_pid);
  EXPECT_EQ((*by_pid).name, "a");
  EXPECT_EQ((*by_pid).netns_pid, 123);
  const auto path = parse_address("a,netns_pid=123");
  ASSERT_TRUE(path);
  EXPECT_FALSE((*path).netns_pid);
}

// docs/protocol.md, "The socket's name"
TEST(Address, WordsSayWhichKindItIs) {
  const auto abstract = parse_address("abstract:a,b,netns_name=blue");
  ASSERT_TRUE(abstract);
  EXPECT_TRUE((*abstract).abstract);
  EXPECT_EQ((*abstract).name, "a,b");
  EXPECT_EQ((*abstract).netns_name, "blue");
  EXPECT_EQ((*abstract).text, "abstract:a,b,netns_name=blue");
  EXPECT_EQ((*abstract).key, (*parse_address("@a,b,netns_name=blue")).key);
  const auto path = parse_address("unix:run/@x");
  ASSERT_TRUE(path);
  EXPECT_FALSE((*path).abstract);
  EXPECT_EQ((*path).name, "run/@x");
  EXPECT_EQ((*path).key, (*parse_address("run/@x")).key);
  const auto at = parse_address("unix:@x");
  ASSERT_TRUE(at);
  EXPECT_FALSE((*at).abstract);
  EXPECT_EQ((*at).name, "@x");
  EXPECT_NE((*at).key, (*parse_address("@x")).key);
  EXPECT_EQ((*parse_address("abstract:@x")).name, "@x");
}

TEST(Address, NamespaceMayBeAPathOrAProcess) {
  const auto path = parse_address("abstract:x,netns_name=/run/netns/a");
  ASSERT_TRUE(path);
  EXPECT_EQ((*path).netns_name, "/run/netns/a");
  EXPECT_EQ((*parse_address("@x,netns_name=pid:12")).netns_pid, 12);
}

TEST(Address, WhatCannotBeIsRefused) {
  for (const std::string& text :
       {""s, "@"s, "@,netns_pid=1"s, "@a,netns_pid="s, "@a,netns_pid=0"s, "@a,netns_pid=-3"s, "@a,netns_pid=1x"s,
        "@a,netns_pid=99999999999"s, "@a,netns_name="s, "@a,netns_name=../x"s, "@a,netns_name=.."s,
        "@a,netns_name=pid:x"s, "abstract:"s, "abstract:,netns_pid=1"s, "unix:"s, "unix:dir/"s, "a\0b"s, "dir/"s}) {
    const auto address = parse_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, Errc::invalid_config);
  }
}

TEST(Address, LengthLimitIs107BytesAndIsNamed) {
  EXPECT_TRUE(parse_address(std::string(107, 'x')));
  EXPECT_TRUE(parse_address("@" + std::string(107, 'x')));
  EXPECT_TRUE(parse_address("@" + std::string(107, 'x') + ",netns_pid=1"));
  const auto path = parse_address(std::string(108, 'x'));
  ASSERT_FALSE(path);
  EXPECT_NE(path.error().message.find("108 bytes long, at most 107"), std::string::npos);
  EXPECT_FALSE(parse_address("@" + std::string(108, 'x')));
}

TEST(Address, AbstractLengthCountsOnlyTheName) {
  const auto abstract = to_sockaddr(*parse_address("@abc"));
  EXPECT_EQ(abstract.length, sizeof(sa_family_t) + 1 + 3);
  EXPECT_EQ(std::string(abstract.storage.sun_path, 4), "\0abc"s);
  const auto path = to_sockaddr(*parse_address("abc"));
  EXPECT_EQ(path.length, sizeof(sa_family_t) + 3 + 1);
  EXPECT_EQ(to_sockaddr(*parse_address(std::string(107, 'x'))).length, sizeof(sockaddr_un));
  EXPECT_EQ(to_sockaddr(*parse_address("@" + std::string(107, 'x'))).length, sizeof(sockaddr_un));
}

TEST(Address, SocketIsNonBlockingSeqpacketAndCloseOnExec) {
  const auto fd = open_socket(*parse_address("@x"));
  ASSERT_TRUE(fd);
  int type = 0;
  socklen_t length = sizeof type;
  ASSERT_EQ(::getsockopt((*fd).get(), SOL_SOCKET, SO_TYPE, &type, &length), 0);
  EXPECT_EQ(type, SOCK_SEQPACKET);
  EXPECT_TRUE(::fcntl((*fd).get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(::fcntl((*fd).get(), F_GETFD) & FD_CLOEXEC);
}

TEST(Address, RelativePathIsAnchoredWhereItLeads) {
  TempDir dir;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir.path);
  EXPECT_EQ(anchored(*parse_address("x/s")).name, dir.path + "/x/s");
  EXPECT_EQ(anchored(*parse_address("x/s")).text, "x/s");
  EXPECT_EQ(anchored(*parse_address("/x/s")).name, "/x/s");
  EXPECT_EQ(anchored(*parse_address("@x")).name, "x");
  // Where its absolute path leads nowhere, or elsewhere.
  const std::string gone = dir.path + "/gone";
  ASSERT_EQ(::mkdir(gone.c_str(), 0700), 0);
  std::filesystem::current_path(gone);
  ASSERT_EQ(::rename(gone.c_str(), (gone + "-elsewhere").c_str()), 0);
  EXPECT_EQ(anchored(*parse_address("s")).name, gone + "-elsewhere/s");
  ASSERT_EQ(::rmdir((gone + "-elsewhere").c_str()), 0);
  EXPECT_EQ(anchored(*parse_address("s")).name, "s");
  std::filesystem::current_path(before);
}

TEST(Address, ConnectsToPathAndAbstract) {
  TempDir dir;
  for (const std::string& text : {dir.path + "/s", unique_name("connect")}) {
    const Address address = *parse_address(text);
    const Fd listening = listener(address);
    EXPECT_TRUE(connect_to(address));
  }
}

void expect_connect_error(const std::string& text, int error, const std::string& words) {
  const auto fd = connect_to(*parse_address(text));
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().code, std::error_code(error, std::system_category()));
  EXPECT_EQ(fd.error().message.find("cannot connect to " + text + ": "), 0u) << fd.error().message;
  EXPECT_NE(fd.error().message.find(words), std::string::npos) << fd.error().message;
}

TEST(Address, ConnectErrorsSayWhatToDo) {
  TempDir dir;
  const std::string path = dir.path + "/s";
  expect_connect_error(path, ENOENT, "is the server running?");
  { const Fd listening = listener(*parse_address(path)); }
  expect_connect_error(path, ECONNREFUSED, "may be a leftover");
  ASSERT_EQ(::unlink(path.c_str()), 0);
  { const Fd file(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)); }
  expect_connect_error(path, ECONNREFUSED, "it is a regular file, not a socket");
  expect_connect_error(dir.path, ECONNREFUSED, "it is a directory, not a socket");
  expect_connect_error(unique_name("nobody"), ECONNREFUSED, "nobody listens there");
}

TEST(Address, StreamListenerIsNamedAsSuch) {
  TempDir dir;
  const std::string path = dir.path + "/s";
  const Fd listening = listener(*parse_address(path), SOCK_STREAM);
  expect_connect_error(path, EPROTOTYPE, "SOCK_SEQPACKET");
}

TEST(Address, FullBacklogIsAnErrorAndDoesNotBlock) {
  const std::string text = unique_name("full");
  const Address address = *parse_address(text);
  const Fd listening = listener(address);
  std::vector<Fd> connections;
  for (int i = 0; i < 100; ++i) {
    auto fd = connect_to(address);
    if (!fd) {
      EXPECT_EQ(fd.error().code, std::errc::resource_unavailable_try_again);
      return;
    }
    connections.push_back(std::move(*fd));
  }
  FAIL() << "the backlog never filled";
}

TEST(Address, MissingNamespaceIsNamed) {
  const auto by_name = open_socket(*parse_address("@x,netns_name=memif-none"));
  ASSERT_FALSE(by_name);
  EXPECT_NE(by_name.error().message.find("no such network namespace \"memif-none\""), std::string::npos)
      << by_name.error().message;
  const auto by_pid = open_socket(*parse_address("@x,netns_pid=2147483647"));
  ASSERT_FALSE(by_pid);
  EXPECT_NE(by_pid.error().message.find("no such process 2147483647"), std::string::npos) << by_pid.error().message;
}

TEST(Address, MissingNamespaceFileIsNamed) {
  const auto missing = open_socket(*parse_address("abstract:x,netns_name=/run/memif-none"));
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("no such network namespace /run/memif-none"), std::string::npos)
      << missing.error().message;
  if (::geteuid() != 0) return;
  const auto other = open_socket(*parse_address("abstract:x,netns_name=/dev/null"));
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("that file is no network namespace"), std::string::npos)
      << other.error().message;
}

class NamedNamespace : public testing::Test {
 protected:
  void SetUp() override {
    name_ = "memif-t" + std::to_string(::getpid());
    if (::geteuid() != 0 || std::system(("ip netns add " + name_ + " >/dev/null 2>&1").c_str()) != 0) {
      GTEST_SKIP() << "cannot make a network namespace here";
    }
    made_ = true;
  }
  void TearDown() override {
    if (made_) {
      EXPECT_EQ(std::system(("ip netns del " + name_).c_str()), 0);
    }
  }
  static ino_t own_namespace() {
    struct stat status {};
    EXPECT_EQ(::stat("/proc/thread-self/ns/net", &status), 0);
    return status.st_ino;
  }
  std::string name_;
  bool made_ = false;
};

TEST_F(NamedNamespace, SocketIsThereAndTheCallerStaysHere) {
  const ino_t before = own_namespace();
  const Address inside = *parse_address("@memif-ns,netns_name=" + name_);
  auto fd = open_socket(inside);
  ASSERT_TRUE(fd) << fd.error().message;
  const SocketAddress target = to_sockaddr(inside);
  ASSERT_EQ(::bind((*fd).get(), target.get(), target.length), 0);
  ASSERT_EQ(::listen((*fd).get(), 4), 0);
  EXPECT_EQ(own_namespace(), before);
  EXPECT_TRUE(connect_to(inside));
  EXPECT_FALSE(connect_to(*parse_address("@memif-ns")));
  EXPECT_TRUE(connect_to(*parse_address("abstract:memif-ns,netns_name=/run/netns/" + name_)));
}

TEST(Address, OwnProcessNamesOwnNamespace) {
  if (::geteuid() != 0) GTEST_SKIP() << "entering a namespace needs root";
  const std::string text = unique_name("own");
  const Fd listening = listener(*parse_address(text));
  const auto fd = connect_to(*parse_address(text + ",netns_pid=" + std::to_string(::getpid())));
  EXPECT_TRUE(fd) << fd.error().message;
}

}  // namespace
}  // namespace memif
