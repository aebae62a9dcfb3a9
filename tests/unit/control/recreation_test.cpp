// A server that is taken away and made anew while the context is in the middle of something.
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

#include <memif/memif.hpp>

#include "support/pair.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;

class Recreation : public testing::TestWithParam<bool> {
 protected:
  const std::string socket_ = GetParam()
                                  ? test::unique_socket()
                                  : testing::TempDir() + "memif-recreation-" + std::to_string(::getpid()) + ".sock";
};

// Its name is free at once, though the listener is still being called.
TEST_P(Recreation, OfTheLastInterfaceOfASocketInTheCallbackOfItsEnd) {
  Context server, client;
  Interface* interface = nullptr;
  unsigned links = 0;
  std::error_code failed;
  std::function<void()> create = [&] {
    Result<Interface*> made = server.try_add({.socket = socket_,
                                              .role = Role::server,
                                              .on_connected = [&](Interface&) { ++links; },
                                              .on_disconnected =
                                                  [&](Interface& ended, const Reason&) {
                                                    server.remove(ended);
                                                    create();
                                                  }});
    if (made)
      interface = *made;
    else
      failed = made.error().code;
  };
  create();
  for (unsigned link = 1; link < 4 && !failed; ++link) {
    Interface& visitor = client.add({.socket = socket_, .reconnect = 1ms});
    ASSERT_TRUE(test::poll_until({&server, &client}, [&] { return links == link && visitor.connected(); }));
    const Interface* const former = interface;
    client.remove(visitor);
    ASSERT_TRUE(test::poll_until({&server, &client}, [&] { return interface != former || failed; }));
  }
  EXPECT_FALSE(failed) << failed.message();
}

INSTANTIATE_TEST_SUITE_P(Sockets, Recreation, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Abstract" : "Path"; });

}  // namespace
}  // namespace memif
