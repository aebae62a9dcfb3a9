// A peer that stops or dies at each step of the handshake and of the data path, in a process of its own. Its loss is
// known at once, nothing of ours waits for it, another interface's traffic goes on, and when it returns it is served.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <gtest/gtest.h>
#include <memory>

#include "peer_process.hpp"
#include "support/resources.hpp"
#include "victim.hpp"

namespace memif::hostile {
namespace {

using namespace std::chrono_literals;

// In rounds of the bystander, for a machine that has other things to do. What is promised is in DeathTiming.
constexpr std::uint64_t soon = 5000;

struct Times {
  Clock::duration noticed{}, returned{};
};

template <class Attack>
class Death {
 public:
  static constexpr Role role = std::is_same_v<Attack, AttackOnServer> ? Role::server : Role::client;

  Death(Attack point, int signal) : point_(std::move(point)), signal_(signal) {}

  // The first round is for what is made once and kept.
  Times run() {
    Times times;
    EXPECT_TRUE(victim_.turn_until([&] { return victim_.bystander().connected(); }));
    test::Resources before;
    for (int round = 0; round < 2 && !testing::Test::HasFatalFailure(); ++round) {
      if (round == 1) before = test::resources();
      one_round(times);
    }
    const test::Resources after = test::resources();
    EXPECT_EQ(after.descriptors, before.descriptors);
    EXPECT_LE(after.mappings, before.mappings + 2);
    EXPECT_LE(after.heap, before.heap + test::heap_noise());
    EXPECT_LE(victim_.longest_turn(), Victim::longest_allowed) << "a call waited for the peer";
    EXPECT_EQ(victim_.evil(), 0u);
    EXPECT_EQ(victim_.outside(), 0u);
    EXPECT_EQ(victim_.bystander().wrong(), 0u);
    EXPECT_EQ(victim_.bystander().disconnects(), 0u);
    return times;
  }

 private:
  bool up() const { return point_.expected.outcome == Outcome::lost; }

  bool turn_until(const std::function<bool()>& done) { return victim_.turn_until(done); }

  void one_round(Times& times) {
    const std::uint64_t before = victim_.count(point_.expected);
    start_peer();
    peer_->tell('a');
    ASSERT_TRUE(turn_until([&] { return (answered('r'), peer_->stopped()); }))
        << "the peer never came to " << point_.name;
    ASSERT_FALSE(peer_->ended()) << "the peer could not come to " << point_.name;
    listening_ = false;
    if (up()) {
      ASSERT_TRUE(turn_until([&] { return victim_.interface().connected(); }));
    }
    const std::uint64_t verified = victim_.bystander().verified();
    ASSERT_NO_FATAL_FAILURE(signal_ == SIGKILL ? die(times, before) : stay_stopped(before));
    EXPECT_TRUE(turn_until([&] { return victim_.bystander().verified() > verified; }));
    ASSERT_NO_FATAL_FAILURE(come_back(times));
  }

  void start_peer() {
    peer_.reset();
    peer_ = std::make_unique<PeerProcess>(std::vector<std::string>{
        HOSTILE_PEER, role == Role::server ? "server" : "client", point_.name, victim_.socket()});
  }

  void die(Times& times, std::uint64_t before) {
    const Clock::time_point killed = Clock::now();
    const std::uint64_t rounds = victim_.bystander().rounds();
    ::kill(peer_->pid(), SIGKILL);
    EXPECT_TRUE(turn_until([&] { return victim_.tells(point_.expected, before); }))
        << "last reason: " << victim_.last_reason(point_.expected).text;
    times.noticed = Clock::now() - killed;
    EXPECT_LT(victim_.bystander().rounds() - rounds, soon);
    start_peer();
  }

  // On a link that is up, silence is no reason to end it. In a handshake it is, when the time is over.
  void stay_stopped(std::uint64_t before) {
    if (up()) {
      unsigned turns = 0;
      EXPECT_TRUE(turn_until([&] { return ++turns > 30; }));
      EXPECT_TRUE(victim_.interface().connected());
    } else {
      const std::uint64_t rounds = victim_.bystander().rounds();
      EXPECT_TRUE(turn_until([&] { return victim_.tells(refused(Errc::timed_out), before); }))
          << "last reason: " << victim_.last_reason({Outcome::refused}).text;
      EXPECT_LT(victim_.bystander().rounds() - rounds, soon);
    }
    ::kill(peer_->pid(), SIGCONT);
    ASSERT_TRUE(turn_until([&] { return answered('d'); }));
  }

  void come_back(Times& times) {
    const std::uint64_t connects = victim_.interface().info().connects, good = victim_.good();
    const Clock::time_point start = Clock::now();
    const std::uint64_t rounds = victim_.bystander().rounds();
    peer_->tell('h');
    bool done = false;
    ASSERT_TRUE(turn_until([&] {
      done |= answered('d');
      return victim_.interface().info().connects > connects;
    }));
    times.returned = Clock::now() - start;
    EXPECT_LT(victim_.bystander().rounds() - rounds, soon);
    ASSERT_TRUE(turn_until([&] { return done || answered('d'); }));
    EXPECT_GE(victim_.good(), good + 100);
    listening_ = false;
    peer_->tell('c');
    ASSERT_TRUE(turn_until([&] { return answered('c'); }));
    if (role == Role::client) victim_.interface().disconnect();
    ASSERT_TRUE(turn_until([&] { return victim_.settled(); }));
    victim_.turn();
  }

  // A peer that listens is to be connected to.
  bool answered(char expected) {
    const int answer = peer_->answer();
    listening_ |= answer == 'r';
    if (listening_ && !victim_.interface().connected()) victim_.interface().connect();
    return answer == expected;
  }

  Attack point_;
  int signal_;
  // Only a peer that stops in a handshake has its time taken; the others may be as slow as the machine is.
  Victim victim_{role, signal_ == SIGSTOP && !up() ? Setup::second_timeout : Setup::usual};
  std::unique_ptr<PeerProcess> peer_;
  bool listening_ = false;  // the peer, which is a server
};

class ClientDies : public testing::TestWithParam<std::tuple<AttackOnServer, int>> {};
class ServerDies : public testing::TestWithParam<std::tuple<AttackOnClient, int>> {};

template <class Param>
void run(const Param& param) {
  Death(std::get<0>(param), std::get<1>(param)).run();
}
TEST_P(ClientDies, AndIsServedWhenItReturns) { run(GetParam()); }
TEST_P(ServerDies, AndIsServedWhenItReturns) { run(GetParam()); }

const auto name_of = [](const auto& instance) {
  return std::get<0>(instance.param).name + (std::get<1>(instance.param) == SIGKILL ? "_killed" : "_stopped");
};
INSTANTIATE_TEST_SUITE_P(Hostile, ClientDies,
                         testing::Combine(testing::ValuesIn(deaths_of_client()), testing::Values(SIGKILL, SIGSTOP)),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Hostile, ServerDies,
                         testing::Combine(testing::ValuesIn(deaths_of_server()), testing::Values(SIGKILL, SIGSTOP)),
                         name_of);

// What is promised, on a machine with nothing else to do.
TEST(DeathTiming, IsNoticedWithin100MillisecondsAndMendedWithinASecond) {
  std::vector<Times> times;
  for (const auto& point : deaths_of_client()) times.push_back(Death(point, SIGKILL).run());
  for (const auto& point : deaths_of_server()) times.push_back(Death(point, SIGKILL).run());
  const auto report = [&](const char* what, Clock::duration Times::*time) {
    std::vector<Clock::duration> all;
    for (const Times& one : times) all.push_back(one.*time);
    std::sort(all.begin(), all.end());
    const auto ms = [](Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); };
    std::printf("%s, %zu points: median %.1f ms, longest %.1f ms\n", what, all.size(), ms(all[all.size() / 2]),
                ms(all.back()));
    return all;
  };
  const auto noticed = report("death noticed", &Times::noticed);
  const auto returned = report("served again, counted from when its process is told to begin", &Times::returned);
  // The few that met another program's turn are in the printed figures.
  EXPECT_LE(noticed[noticed.size() * 9 / 10], 100ms);
  EXPECT_LE(returned[returned.size() * 9 / 10], 1000ms);
}

}  // namespace
}  // namespace memif::hostile
