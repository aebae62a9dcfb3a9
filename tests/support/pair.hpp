// Two interfaces of one process, joined: a server and a client with a context each.
#pragma once

#include <atomic>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

#include <memif/memif.hpp>

namespace memif::test {

// An abstract socket that no other test of this run has.
inline std::string unique_socket() {
  static std::atomic<int> count{0};
  return "@memifpp-test-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
}

// Polls both until `done`, for at most ten seconds.
inline bool poll_until(std::initializer_list<Context*> contexts, const std::function<bool()>& done) {
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (!done()) {
    if (Clock::now() > deadline) return false;
    for (Context* context : contexts) context->poll(std::chrono::milliseconds(1));
  }
  return true;
}

struct Pair {
  // `common` is what both sides share; the socket is made unless given.
  explicit Pair(InterfaceConfig common = {.socket = ""}) {
    if (common.socket.empty()) common.socket = unique_socket();
    common.role = Role::server;
    server = &server_context.add(common);
    common.role = Role::client;
    client = &client_context.add(common);
  }

  bool connect() {
    return poll_until({&server_context, &client_context},
                      [this] { return server->connected() && client->connected(); });
  }

  Context server_context{{.app_name = "server-app"}};
  Context client_context{{.app_name = "client-app"}};
  Interface* server = nullptr;
  Interface* client = nullptr;
};

}  // namespace memif::test
