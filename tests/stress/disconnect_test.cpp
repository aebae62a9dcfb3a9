// Data threads at work while the control thread takes their link away, and gives them another.
#include <future>
#include <gtest/gtest.h>
#include <thread>

#include "child.hpp"
#include "support/pair.hpp"
#include "support/resources.hpp"
#include "traffic.hpp"

namespace memif::stress {
namespace {

using namespace std::chrono_literals;
using test::open_descriptors;
using test::Pair;
using test::shared_mappings;

InterfaceConfig small_rings() {
  return {.socket = "", .rx_queues = 2, .tx_queues = 2, .ring_size = 64, .reconnect = 1ms};
}

// Four data threads, two a side: one of each side works without a pause, the other spends its time in wait().
// One more changes the modes of all queues and asks for everything that may be asked from any thread.
class Crew {
 public:
  Crew(Interface& server, Interface& client) : server_(server), client_(client) {
    std::uint64_t seed = 0;
    for (Interface* port : {&server, &client})
      for (std::uint16_t i = 0; i < 2; ++i)
        lanes_.push_back(std::make_unique<Lane>(port->rx(i), port->tx(i),
                                                LaneOptions{.seed = ++seed, .max_size = 2048 * 3, .ring_size = 64}));
    for (std::size_t i = 0; i < lanes_.size(); ++i)
      threads_.emplace_back([this, i] { i % 2 == 0 ? hammer(*lanes_[i]) : doze(*lanes_[i]); });
    threads_.emplace_back([this] { meddle(); });
  }
  ~Crew() { stop(); }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  std::uint64_t least_received() const {
    std::uint64_t least = ~std::uint64_t{0};
    for (const auto& lane : lanes_) least = std::min(least, lane->received());
    return least;
  }
  std::uint64_t total_received() const {
    std::uint64_t total = 0;
    for (const auto& lane : lanes_) total += lane->received();
    return total;
  }
  const std::vector<std::unique_ptr<Lane>>& lanes() const { return lanes_; }

 private:
  void hammer(Lane& lane) {
    while (!stop_) {
      const bool received = lane.receive_some();
      if (!lane.send_some() && !received) std::this_thread::yield();
    }
  }
  void doze(Lane& lane) {
    Random random(3);
    while (!stop_) {
      lane.wait(std::chrono::microseconds(random.below(2000)));
      lane.receive_some();
      lane.send_some();
    }
  }
  void meddle() {
    Random random(4);
    while (!stop_) {
      for (Interface* port : {&server_, &client_}) {
        RxQueue& rx = port->rx(random.below(2));
        rx.set_mode(static_cast<RxMode>(random.below(3)));
        seen_ += rx.counters().packets.get() + port->tx(0).counters().bytes.get() + port->info().connects;
        seen_ += static_cast<std::uint64_t>(rx.event_fd() >= 0) + static_cast<std::uint64_t>(port->connected());
      }
      std::this_thread::sleep_for(100us);
    }
  }

  Interface& server_;
  Interface& client_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
  std::uint64_t seen_ = 0;
};

// What a process keeps from its first link on is not a link's.
void connect_once() {
  Pair pair;
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.client->tx(0).send_copy(std::array<std::byte, 64>{}));
  std::array<Buffer, 1> buffers;
  ASSERT_EQ(pair.server->rx(0).receive(buffers).size(), 1u);
}

TEST(DataThreads, MovePacketsThroughAThousandDisconnects) {
  connect_once();
  const std::uint64_t rounds = amount("MEMIF_DISCONNECTS", 1000, 1000);
  const std::size_t fds = open_descriptors(), mappings = shared_mappings();
  {
    Pair pair(small_rings());
    Crew crew(*pair.server, *pair.client);
    for (std::uint64_t round = 0; round < rounds; ++round) {
      pair.client->connect();
      ASSERT_TRUE(pair.connect()) << "round " << round;
      const std::uint64_t before = crew.total_received();
      ASSERT_TRUE(test::poll_until({&pair.server_context, &pair.client_context},
                                   [&] { return crew.total_received() > before; }))
          << "round " << round;
      (round % 2 == 0 ? pair.server : pair.client)->disconnect();
      ASSERT_TRUE(test::poll_until({&pair.server_context, &pair.client_context},
                                   [&] { return !pair.server->connected() || !pair.client->connected(); }));
    }
    ASSERT_TRUE(pair.connect());
    ASSERT_TRUE(
        test::poll_until({&pair.server_context, &pair.client_context}, [&] { return crew.least_received() > 0; }));
    crew.stop();
    EXPECT_GE(pair.server->info().disconnects, rounds);
    for (const auto& lane : crew.lanes()) EXPECT_EQ(lane->errors(), 0u) << lane->first_error();
  }
  EXPECT_EQ(open_descriptors(), fds);
  EXPECT_EQ(shared_mappings(), mappings);
}

class HeldBufferThreads : public testing::TestWithParam<Role> {};

// A thread takes packets and buffers, the link goes, the interfaces too: all of it stays the thread's until it comes
// back to the queue.
TEST_P(HeldBufferThreads, CanStillBeReadAndWrittenAfterTheLinkIsGone) {
  const std::size_t mappings = shared_mappings();
  for (int round = 0; round < 20; ++round) {
    Pair pair(small_rings());
    ASSERT_TRUE(pair.connect());
    Interface& ours = GetParam() == Role::server ? *pair.server : *pair.client;
    Interface& theirs = GetParam() == Role::server ? *pair.client : *pair.server;
    Lane sender(theirs.rx(0), theirs.tx(0), {.seed = 1u + static_cast<unsigned>(round), .ring_size = 64});
    ASSERT_TRUE(sender.send_some());

    std::promise<void> holding, gone;
    std::thread holder([&, rx = ours.share_rx(0), tx = ours.share_tx(0)] {
      std::array<Buffer, 128> in, out;
      const RxBurst received = rx->receive(in);
      TxBurst prepared = tx->allocate(out, 5000, 4);
      EXPECT_FALSE(received.empty());
      EXPECT_EQ(prepared.size(), 4u);
      holding.set_value();
      gone.get_future().wait();
      for (const Packet packet : received) EXPECT_TRUE(inspect(packet).intact);
      for (const Packet packet : prepared) seal(packet, 1, 1);
      EXPECT_EQ(prepared.send(), 0u);
      EXPECT_TRUE(rx->receive(in).empty());
      EXPECT_FALSE(rx->up());
      EXPECT_FALSE(tx->up());
    });
    holding.get_future().wait();
    ours.disconnect();
    pair.server_context.remove(*pair.server);
    pair.client_context.remove(*pair.client);
    gone.set_value();
    holder.join();
  }
  EXPECT_EQ(shared_mappings(), mappings);
}

INSTANTIATE_TEST_SUITE_P(Roles, HeldBufferThreads, testing::Values(Role::server, Role::client),
                         [](const auto& role) { return role.param == Role::server ? "Server" : "Client"; });

}  // namespace
}  // namespace memif::stress
