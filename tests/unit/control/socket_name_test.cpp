// One socket, however it is written, and wherever the program goes.
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <unistd.h>

#include "support/pair.hpp"

namespace memif {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class SocketName : public testing::Test {
 protected:
  void SetUp() override {
    before_ = fs::current_path();
    char name[] = "/tmp/memif-name-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    fs::create_directory(dir_ / "a");
    fs::create_directory(dir_ / "b");
    fs::current_path(dir_ / "a");
  }
  void TearDown() override {
    fs::current_path(before_);
    fs::remove_all(dir_);
  }

  // A server on `there` and a client on `name`, which was added before the program went elsewhere.
  void expect_the_client_stays(const std::string& name, const fs::path& there) {
    Context clients, servers;
    Interface& client = clients.add({.socket = name, .reconnect = 10ms});
    fs::current_path(dir_ / "b");
    for (int round = 0; round < 2; ++round) {
      Interface& server = servers.add({.socket = there.string(), .role = Role::server});
      EXPECT_TRUE(test::poll_until({&clients, &servers}, [&] { return client.connected() && server.connected(); }))
          << client.info().last_reason.value_or(Reason{}).text;
      servers.remove(server);
      EXPECT_TRUE(test::poll_until({&clients}, [&] { return !client.connected(); }));
    }
  }

  fs::path before_, dir_;
};

TEST_F(SocketName, RelativePathOfAClientDoesNotFollowTheWorkingDirectory) {
  for (const char* name : {"s", "./s", "unix:s", "../a/s"}) {
    fs::current_path(dir_ / "a");
    expect_the_client_stays(name, dir_ / "a/s");
  }
}

TEST_F(SocketName, RelativePathMayBeginDeepDown) {
  const fs::path deep = dir_ / std::string(100, 'd') / std::string(100, 'e');
  fs::create_directories(deep);
  fs::current_path(deep);
  {
    test::Pair pair({.socket = "s"});
    fs::current_path(dir_);
    EXPECT_TRUE(pair.connect());
    EXPECT_TRUE(fs::exists(deep / "s"));
  }
  EXPECT_TRUE(fs::is_empty(deep));
}

TEST_F(SocketName, LongestNameIsStillPossibleInADirectoryOfItsOwn) {
  const std::string longest(107, 'x');
  test::Pair pair({.socket = longest});
  EXPECT_TRUE(pair.connect());
}

// How servers and clients of several VPPs write the same socket.
TEST_F(SocketName, EachWayToWriteItIsTheSameSocket) {
  const std::string own = std::to_string(::getpid());
  const std::string name = "memif-name-" + own;
  const auto meet = [&](const std::string& server, const std::string& client) {
    Context context;
    Interface& listening = context.add({.socket = server, .role = Role::server});
    Interface& connecting = context.add({.socket = client});
    EXPECT_TRUE(test::poll_until({&context}, [&] { return listening.connected() && connecting.connected(); }))
        << server << " and " << client << ": " << connecting.info().last_reason.value_or(Reason{}).text;
  };
  meet("abstract:" + name, "@" + name);
  meet("@" + name, "abstract:" + name);
  meet("unix:" + (dir_ / "s").string(), (dir_ / "s").string());
  meet("unix:@s", (dir_ / "a/@s").string());
  if (::geteuid() != 0) return;
  meet("abstract:" + name + ",netns_pid=" + own, "@" + name);
  meet("abstract:" + name + ",netns_name=pid:" + own, "@" + name);
  meet("@" + name, "abstract:" + name + ",netns_name=/proc/" + own + "/ns/net");
}

TEST_F(SocketName, InterfacesOfOneSocketShareAListenerHoweverTheyWriteIt) {
  Context context;
  const std::string name = test::unique_socket().substr(1);
  context.add({.socket = "@" + name, .id = 0, .role = Role::server});
  context.add({.socket = "abstract:" + name, .id = 1, .role = Role::server});
  EXPECT_GE(context.listener_fd("@" + name), 0);
  EXPECT_EQ(context.listener_fd("@" + name), context.listener_fd("abstract:" + name));
  EXPECT_TRUE(context.listener_stats("abstract:" + name));
  EXPECT_EQ(context.listener_fd("unix:@" + name), -1);
  EXPECT_FALSE(context.try_add({.socket = "abstract:" + name, .id = 0, .role = Role::server}));
}

}  // namespace
}  // namespace memif
