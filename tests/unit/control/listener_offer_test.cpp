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

// Others do so, too. A ring that is one too many is refused when it comes.
TEST(ListenerOfferThreads, IsAllThereCanBeWhateverItsInterfacesTake) {
  const std::string socket = "@memifpp-offer-" + std::to_string(::getpid());
  Context context;
  context.add({.socket = socket, .id = 0, .role = Role::server});
  const ListenerInfo info = offered(context, socket);
  EXPECT_EQ(info.max_m2s_rings, 256u);
  EXPECT_EQ(info.max_s2m_rings, 256u);
}

}  // namespace
}  // namespace memif
