#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <unistd.h>

#include <memif/memif.hpp>

namespace memif {
namespace {

using namespace std::chrono_literals;

// What a listener offers, asked while its context is polled.
ListenerInfo offered(Context& context, const std::string& socket) {
  std::atomic<bool> done{false};
  ListenerInfo info;
  std::thread asking([&] {
    if (Result<ListenerInfo> answer = probe(socket, 10s)) info = *answer;
    done.store(true, std::memory_order_release);
  });
  while (!done.load(std::memory_order_acquire)) context.poll(5ms);
  asking.join();
  return info;
}

TEST(ListenerOfferThreads, IsTheMostThatAnyPresentInterfaceTakes) {
  const std::string socket = "@memifpp-offer-" + std::to_string(::getpid());
  Context context;
  context.add({.socket = socket, .id = 0, .role = Role::server});
  const ListenerInfo one = offered(context, socket);
  EXPECT_EQ(one.max_m2s_rings, 1u);
  EXPECT_EQ(one.max_s2m_rings, 1u);

  Interface& wide = context.add({.socket = socket, .id = 1, .role = Role::server, .rx_queues = 4, .tx_queues = 3});
  const ListenerInfo more = offered(context, socket);
  EXPECT_EQ(std::min(more.max_m2s_rings, more.max_s2m_rings), 3u);
  EXPECT_EQ(std::max(more.max_m2s_rings, more.max_s2m_rings), 4u);

  context.remove(wide);
  const ListenerInfo again = offered(context, socket);
  EXPECT_EQ(again.max_m2s_rings, 1u);
  EXPECT_EQ(again.max_s2m_rings, 1u);
}

}  // namespace
}  // namespace memif
