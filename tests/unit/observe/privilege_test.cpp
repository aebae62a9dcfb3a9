// Who may connect, and what nobody is told: the allow-lists with a peer of another user, and the secret.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <memif/observe.hpp>

#include "support/nobody.hpp"
#include "support/pair.hpp"

namespace memif {
namespace {

using test::nobody;
using test::nogroup;
using testing::HasSubstr;
using testing::Not;

// --- The allow-lists

constexpr const char* refusal = "user 65534, group 65534 is not allowed here";

// Whether a client on this socket is let in, or else told that refusal.
bool knock(const std::string& socket, bool let_in) {
  Context context{{.app_name = "visitor"}};
  Interface& port = context.add({.socket = socket});
  if (!test::poll_until({&context}, [&] { return port.connected() || port.info().last_reason; })) return false;
  if (port.connected()) return let_in;
  const Reason reason = *port.info().last_reason;
  return !let_in && reason.from_peer && reason.code == Errc::peer_refused && reason.text == refusal;
}

class AllowList : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "becoming another user needs root";
  }

  // Somebody of user and group 65534 connects to a server with these lists.
  void visit(std::vector<uid_t> users, std::vector<gid_t> groups, bool let_in) {
    const std::string socket = test::unique_socket();
    Interface& port = context_.add({.socket = socket,
                                    .role = Role::server,
                                    .allowed_users = std::move(users),
                                    .allowed_groups = std::move(groups),
                                    .on_connected = [&](Interface& i) { peer_ = i.info().peer->credentials; }});
    const pid_t visitor = test::fork_as_nobody([&] { return knock(socket, let_in); });
    int status = -1;
    while (::waitpid(visitor, &status, WNOHANG) == 0) context_.poll(std::chrono::milliseconds(1));
    EXPECT_EQ(status, 0) << "the visitor was answered otherwise than it should be";
    EXPECT_EQ(port.info().connects, let_in ? 1u : 0u);
    stats_ = context_.listener_stats(socket).value();
    if (let_in) {
      ASSERT_TRUE(peer_);
      EXPECT_EQ(peer_->uid, nobody);
      EXPECT_EQ(peer_->gid, nogroup);
    } else {
      EXPECT_EQ(stats_.refused, 1u);
      ASSERT_TRUE(stats_.last_refusal);
      EXPECT_EQ(stats_.last_refusal->code, Errc::peer_not_allowed);
      EXPECT_EQ(stats_.last_refusal->text, refusal);
    }
  }

  Context context_{{.app_name = "guarded"}};
  std::optional<Credentials> peer_;
  ListenerStats stats_;
};

TEST_F(AllowList, WithoutOneEveryoneIsLetIn) { visit({}, {}, true); }
TEST_F(AllowList, RefusesAUserThatItDoesNotList) { visit({0, nobody - 1}, {}, false); }
TEST_F(AllowList, RefusesAGroupThatItDoesNotList) { visit({}, {0, nogroup - 1}, false); }
TEST_F(AllowList, RefusesWhoIsInNeitherList) { visit({0}, {0}, false); }
TEST_F(AllowList, LetsInAUserThatItLists) { visit({0, nobody}, {}, true); }
TEST_F(AllowList, LetsInAGroupThatItLists) { visit({}, {nogroup}, true); }
TEST_F(AllowList, LetsInWhoIsInOneOfTwoLists) { visit({0}, {nogroup}, true); }

TEST(AllowListOfOthers, RefusesThisUserToo) {
  test::Pair pair({.socket = "", .allowed_users = {::geteuid() + 1}});
  ASSERT_TRUE(test::poll_until({&pair.server_context, &pair.client_context},
                               [&] { return pair.client->info().last_reason.has_value(); }));
  EXPECT_EQ(pair.server_context.listener_stats(pair.server->config().socket)->last_refusal->code,
            Errc::peer_not_allowed);
  EXPECT_FALSE(pair.server->connected());
}

// --- The secret

struct Attempt {
  const char* name;
  const char* server;
  const char* client;
  const char* outcome;  // in the words of both sides; nullptr: the link comes up
};

// All that the library says and shows while a client with a secret meets a server with one.
class SecretOf : public testing::TestWithParam<Attempt> {
 protected:
  Context listening() {
    const auto hear = [this](LogLevel, std::string_view line) { said(line); };
    return Context{{.app_name = "talkative", .log = hear, .publish = true}};
  }
  InterfaceConfig config(Role role) {
    const auto hear = [this](Interface&, const Reason& reason) { said(reason); };
    return {.socket = socket_,
            .role = role,
            .secret = role == Role::server ? GetParam().server : GetParam().client,
            .ring_size = 16,
            .on_disconnected = hear};
  }

  void said(std::string_view text) { all_.append(text).append("\n"); }
  void said(const Reason& reason) {
    said(reason.text);
    said(reason.code.message());
  }
  void said(const Error& error) {
    said(error.message);
    said(error.code.message());
  }
  void shown_by(const Interface& port) {
    const InterfaceInfo info = port.info();
    if (info.last_reason) said(*info.last_reason);
    if (info.peer) said(info.peer->app_name + info.peer->interface_name);
  }
  // The memory that observers may read, and that peers share.
  void shown_in_memory() {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code none;
      if (std::filesystem::read_symlink(entry, none).string().rfind("/memfd:", 0) != 0) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      all_.append(std::istreambuf_iterator<char>(file), {});
      ++files_;
    }
  }

  const std::string socket_ = test::unique_socket();
  std::string all_;
  int files_ = 0;
};

TEST_P(SecretOf, IsNeitherLoggedNorToldNorShown) {
  const Attempt& attempt = GetParam();
  Context servers = listening(), clients = listening();
  Interface& server = servers.add(config(Role::server));
  Interface& client = clients.add(config(Role::client));
  const auto ended = [&](const Interface& port) { return port.connected() || port.info().last_reason.has_value(); };
  ASSERT_TRUE(test::poll_until({&servers, &clients}, [&] { return ended(server) && ended(client); }));
  EXPECT_EQ(client.connected(), attempt.outcome == nullptr);
  for (const Interface* port : {&server, &client}) shown_by(*port);
  if (const auto refused = servers.listener_stats(socket_)->last_refusal) said(*refused);
  shown_in_memory();
  EXPECT_GE(files_, 2);

  // What is wrong with a configuration is told without its secret.
  for (const Role role : {Role::server, Role::client}) {
    InterfaceConfig wrong = config(role);
    wrong.secret += wrong.secret + wrong.secret + "-twenty-five-bytes-or-more";
    said(servers.try_add(wrong).error());
  }
  said(servers.try_add(config(Role::server)).error());
  if (const Status status = client.try_connect(); !status) said(status.error());
  client.disconnect();
  server.disconnect();
  ASSERT_TRUE(test::poll_until({&servers, &clients}, [&] { return !client.connected() && !server.connected(); }));
  for (const Interface* port : {&server, &client}) shown_by(*port);

  if (attempt.outcome != nullptr) {
    EXPECT_THAT(all_, HasSubstr(attempt.outcome));
  }
  for (const std::string secret : {attempt.server, attempt.client}) {
    if (secret.empty()) continue;
    EXPECT_EQ(all_.find(secret), std::string::npos);
    EXPECT_EQ(all_.find(secret.substr(0, 6)), std::string::npos);
    EXPECT_EQ(all_.find(secret.substr(secret.size() - 6)), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(Attempts, SecretOf,
                         testing::Values(Attempt{"Both", "Xyzzy%PLUGH", "Xyzzy%PLUGH", nullptr},
                                         Attempt{"Longest", "Xyzzy%PLUGH+sesame=open!", "Xyzzy%PLUGH+sesame=open!",
                                                 nullptr},
                                         Attempt{"WrongClient", "Xyzzy%PLUGH", "Sesame?Barley", "wrong secret"},
                                         Attempt{"SilentClient", "Xyzzy%PLUGH", "", "a secret is required"},
                                         Attempt{"ClientThatNeedsNone", "", "Sesame?Barley", nullptr}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace memif
