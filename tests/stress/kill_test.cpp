// The peer process is killed in the middle of traffic, again and again, and each time comes back.
#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>
#include <string>
#include <thread>
#include <unistd.h>

#include "child.hpp"
#include "support/resources.hpp"
#include "traffic.hpp"

namespace memif::stress {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using test::open_descriptors;
using test::shared_mappings;

// The side that survives: a control thread, which is the test's, and one thread for the traffic.
class Survivor {
 public:
  explicit Survivor(InterfaceConfig config) {
    config.on_connected = [this](Interface&) { connected_at_ = Clock::now(); };
    config.on_disconnected = [this](Interface&, const Reason&) { lost_at_ = Clock::now(); };
    port_ = &context_.add(std::move(config));
    for (std::uint16_t i = 0; i < 2; ++i)
      lanes_.push_back(std::make_unique<Lane>(port_->rx(i), port_->tx(i), LaneOptions{.seed = 5u + i}));
    worker_ = std::thread([this] {
      Lane* const all[] = {lanes_[0].get(), lanes_[1].get()};
      work(all, stop_);
    });
  }
  ~Survivor() {
    stop_ = true;
    worker_.join();
  }
  Survivor(const Survivor&) = delete;
  Survivor& operator=(const Survivor&) = delete;

  template <class Done>
  bool poll_until(Done done) {
    const auto deadline = Clock::now() + 20s;
    while (!done() && Clock::now() < deadline) context_.poll(1ms);
    return done();
  }

  bool poll_until_connected() {
    return poll_until([this] { return port_->connected(); });
  }
  // Until every queue has moved packets both ways on this link.
  bool poll_until_busy() {
    std::array<std::uint64_t, 4> before{};
    for (std::size_t i = 0; i < 2; ++i) before[2 * i] = lanes_[i]->sent(), before[2 * i + 1] = lanes_[i]->received();
    return poll_until([&] {
      for (std::size_t i = 0; i < 2; ++i)
        if (lanes_[i]->sent() < before[2 * i] + 200 || lanes_[i]->received() < before[2 * i + 1] + 200) return false;
      return true;
    });
  }
  bool poll_until_lost() {
    return poll_until([this] { return !port_->connected(); });
  }

  Clock::time_point connected_at() const { return connected_at_; }
  Clock::time_point lost_at() const { return lost_at_; }
  std::uint64_t errors() const { return lanes_[0]->errors() + lanes_[1]->errors(); }

 private:
  Context context_{{.app_name = "survivor"}};
  Interface* port_ = nullptr;
  std::vector<std::unique_ptr<Lane>> lanes_;
  Clock::time_point connected_at_{}, lost_at_{};
  std::atomic<bool> stop_{false};
  std::thread worker_;
};

struct Times {
  std::vector<milliseconds> all{};

  void add(Clock::duration time) { all.push_back(std::chrono::ceil<milliseconds>(time)); }
  milliseconds at(double share) {
    std::sort(all.begin(), all.end());
    return all[static_cast<std::size_t>(share * static_cast<double>(all.size() - 1))];
  }
  std::string text() {
    return "median " + std::to_string(at(0.5).count()) + " ms, 95 % " + std::to_string(at(0.95).count()) +
           " ms, longest " + std::to_string(at(1).count()) + " ms";
  }
};

class KilledPeerTiming : public testing::TestWithParam<Role> {};

TEST_P(KilledPeerTiming, IsNoticedAtOnceAndRejoinedWhenItReturns) {
  const bool server = GetParam() == Role::server;
  const std::string socket = testing::TempDir() + "memif-kill-" + std::to_string(::getpid()) + ".sock";
  Survivor survivor({.socket = socket, .role = GetParam(), .rx_queues = 2, .tx_queues = 2});
  std::size_t fds = 0, mappings = 0;
  Times noticed, rejoined;
  Random random(99);

  // The first round is not counted: a process keeps something from its first link on.
  const auto rounds = 1 + amount("MEMIF_KILL_ROUNDS", 200, 10);
  for (unsigned round = 0; round < rounds; ++round) {
    if (round == 1) {
      ASSERT_TRUE(survivor.poll_until([] { return shared_mappings() == 0; }));
      fds = open_descriptors();
      mappings = shared_mappings();
    }
    const auto returned = Clock::now();
    Child peer({"--socket", socket, "--role", server ? "client" : "server", "--seed", std::to_string(round)});
    ASSERT_TRUE(survivor.poll_until_connected()) << "round " << round;
    rejoined.add(survivor.connected_at() - returned);
    ASSERT_TRUE(survivor.poll_until_busy()) << "round " << round;
    const auto moment = Clock::now() + std::chrono::microseconds(random.below(3000));
    ASSERT_TRUE(survivor.poll_until([&] { return Clock::now() >= moment; }));

    const auto killed = Clock::now();
    peer.signal_kill();
    ASSERT_TRUE(survivor.poll_until_lost()) << "round " << round;
    noticed.add(survivor.lost_at() - killed);
    ASSERT_EQ(survivor.errors(), 0u) << "round " << round;
  }

  // The traffic's thread lets go of the last link at its next burst. At the start there may have been one descriptor
  // more: of a connection that the dying peer had not refused yet.
  EXPECT_TRUE(survivor.poll_until([&] { return shared_mappings() == mappings && open_descriptors() <= fds; }))
      << shared_mappings() << " mappings where there were " << mappings << ", " << open_descriptors()
      << " descriptors where there were " << fds;
  std::printf("loss noticed: %s\nrejoined, counted from the start of its process: %s\n", noticed.text().c_str(),
              rejoined.text().c_str());
  // Three busy threads share the machine's processors with whatever else runs there: the rest of the times are printed.
  EXPECT_LE(noticed.at(0.5), 100ms);
  EXPECT_LE(rejoined.at(0.5), 1000ms);
}

INSTANTIATE_TEST_SUITE_P(Roles, KilledPeerTiming, testing::Values(Role::server, Role::client),
                         [](const auto& role) { return role.param == Role::server ? "WeServe" : "WeAreClient"; });

}  // namespace
}  // namespace memif::stress
