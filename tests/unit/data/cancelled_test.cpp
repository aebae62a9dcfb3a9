// A thread that is cancelled (pthread_cancel) ends where it sleeps, not in the middle of a call on its queue.
#include <array>
#include <atomic>
#include <gtest/gtest.h>
#include <pthread.h>
#include <thread>

#include "support/pair.hpp"

namespace memif {
namespace {

using test::Pair;

struct Worker {
  Interface& own;
  std::atomic<bool> has_link{false}, link_has_gone{false}, finished{false};

  static void* run(void* self) {
    auto& worker = *static_cast<Worker*>(self);
    std::array<Buffer, 8> buffers;
    static_cast<void>(worker.own.rx(0).receive(buffers).empty());
    static_cast<void>(worker.own.tx(0).room());
    worker.has_link = true;
    while (!worker.link_has_gone) std::this_thread::yield();
    ::pthread_cancel(::pthread_self());
    static_cast<void>(worker.own.rx(0).receive(buffers).empty());
    static_cast<void>(worker.own.tx(0).room());
    worker.finished = true;
    ::pthread_testcancel();
    return nullptr;
  }
};

// The last to have the link, which it lets go of.
TEST(Cancelled, CallsThatLetGoOfALinkAreFinished) {
  for (const bool client : {true, false}) {
    Pair pair({.socket = "", .reconnect = std::chrono::seconds(3600)});
    ASSERT_TRUE(pair.connect());
    Worker worker{client ? *pair.client : *pair.server};
    pthread_t thread;
    ASSERT_EQ(::pthread_create(&thread, nullptr, &Worker::run, &worker), 0);
    while (!worker.has_link) std::this_thread::yield();
    pair.server->disconnect();
    EXPECT_TRUE(test::poll_until({&pair.server_context, &pair.client_context},
                                 [&] { return !pair.client->connected() && !pair.server->connected(); }));
    worker.link_has_gone = true;
    void* result = nullptr;
    ASSERT_EQ(::pthread_join(thread, &result), 0);
    EXPECT_TRUE(worker.finished);
    EXPECT_EQ(result, PTHREAD_CANCELED);
  }
}

}  // namespace
}  // namespace memif
