// A peer that stops or dies at each step of the handshake and of the data path, in a process of its own. Its loss is
// known at once, nothing of ours waits for it, another interface's traffic goes on, and when it returns it is served.
#pragma once

#include <csignal>
#include <tuple>

#include <memif/event_loop.hpp>

#include "trial.hpp"

namespace memif::hostile {

// A point, and the signal that the peer gets there.
template <class Attack>
using DeathBy = std::tuple<Attack, int>;

template <class Attack>
bool is_on_a_link(const Attack& point) {
  return point.expected.outcome == Outcome::lost;
}

template <class Attack>
bool stops_in_handshake(const DeathBy<Attack>& death) {
  return std::get<int>(death) == SIGSTOP && !is_on_a_link(std::get<Attack>(death));
}

struct Times {
  Clock::duration noticed{}, returned{};
};

template <class Attack, class Victim>
class Death : Trial<Attack, Victim> {
  using Base = Trial<Attack, Victim>;
  using Base::attack_, Base::victim_, Base::peer_, Base::turn_until;

  // In rounds of the bystander, for a machine that has other things to do. What is promised is in DeathTiming.
  static constexpr std::uint64_t soon = 5000;

 public:
  explicit Death(const DeathBy<Attack>& death) : Base(with_setup(death)), signal_(std::get<int>(death)) {}

  Times run() {
    this->repeat(2, [this] { one_round(); });
    this->expect_unharmed();
    EXPECT_LE(victim_.longest_turn(), Victim::longest_allowed) << "a call waited for the peer";
    return times_;
  }

 private:
  // Only a peer that stops in a handshake has its time taken; the others may be as slow as the machine is.
  static Attack with_setup(const DeathBy<Attack>& death) {
    Attack point = std::get<Attack>(death);
    if (stops_in_handshake(death)) point.setup = Setup::second_timeout;
    return point;
  }

  void one_round() {
    this->start_peer();
    victim_.prepare();
    ASSERT_NO_FATAL_FAILURE(begin('a', [this] { return (answered('r'), peer_->stopped()); }));
    victim_.turn();  // and what the peer did before it stopped is seen
    if (up_) {
      ASSERT_TRUE(turn_until([&] { return victim_.connected(); }));
    }
    listening_ = false;
    const std::uint64_t verified = victim_.bystander().verified();
    ASSERT_NO_FATAL_FAILURE(signal_ == SIGKILL ? die() : stay_stopped());
    EXPECT_TRUE(turn_until([&] { return victim_.bystander().verified() > verified; }));
    ASSERT_NO_FATAL_FAILURE(come_back());
  }

  // Until it is done. A machine that is too busy for the deadline of a handshake has more attempts.
  void begin(char command, const std::function<bool()>& done) {
    for (int attempt = 0; attempt < 10; ++attempt) {
      before_ = victim_.count(attack_.expected);
      const std::uint64_t refused_before = victim_.count({Outcome::refused});
      peer_->tell(command);
      ASSERT_TRUE(turn_until([&] { return done() || peer_->ended(); })) << "the peer never came to " << attack_.name;
      if (!peer_->ended()) return;
      ASSERT_TRUE(turn_until([&] { return victim_.tells(refused(Errc::timed_out), refused_before); }))
          << "the peer could not come to " << attack_.name;
      listening_ = false;
      this->start_peer();
    }
    FAIL() << "the machine is too slow for " << attack_.name;
  }

  void die() {
    const Clock::time_point killed = Clock::now();
    const std::uint64_t rounds = victim_.bystander().rounds();
    ::kill(peer_->pid(), SIGKILL);
    EXPECT_TRUE(turn_until([&] { return victim_.tells(attack_.expected, before_); }))
        << "last reason: " << victim_.last_reason(attack_.expected).text;
    times_.noticed = Clock::now() - killed;
    EXPECT_LT(victim_.bystander().rounds() - rounds, soon);
    this->start_peer();
  }

  // On a link that is up, silence is no reason to end it. In a handshake it is, when the time is over.
  void stay_stopped() {
    if (up_) {
      unsigned turns = 0;
      EXPECT_TRUE(turn_until([&] { return ++turns > 30; }));
      EXPECT_TRUE(victim_.connected());
    } else {
      const std::uint64_t rounds = victim_.bystander().rounds();
      EXPECT_TRUE(turn_until([&] { return victim_.tells(refused(Errc::timed_out), before_); }))
          << "last reason: " << victim_.last_reason({Outcome::refused}).text;
      EXPECT_LT(victim_.bystander().rounds() - rounds, Victim::handshake_deadline.count() + soon);
    }
    ::kill(peer_->pid(), SIGCONT);
    ASSERT_TRUE(turn_until([&] { return answered('d'); }));
  }

  void come_back() {
    const std::uint64_t connects = victim_.connects(), good = victim_.good();
    const Clock::time_point start = Clock::now();
    const std::uint64_t rounds = victim_.bystander().rounds();
    bool done = false;
    ASSERT_NO_FATAL_FAILURE(begin('h', [&] {
      done |= answered('d');
      return victim_.connects() > connects;
    }));
    times_.returned = Clock::now() - start;
    EXPECT_LT(victim_.bystander().rounds() - rounds, soon);
    ASSERT_TRUE(turn_until([&] { return done || answered('d'); }));
    EXPECT_GE(victim_.good(), good + 100);
    listening_ = false;
    peer_->tell('c');
    ASSERT_TRUE(turn_until([&] { return answered('c'); }));
    ASSERT_NO_FATAL_FAILURE(this->settle());
  }

  // A peer that listens is to be connected to.
  bool answered(char expected) {
    const int answer = peer_->answer();
    listening_ |= answer == 'r';
    if (listening_ && !victim_.connected()) victim_.connect();
    return answer == expected;
  }

  const int signal_;
  const bool up_ = is_on_a_link(attack_);
  Times times_;
  std::uint64_t before_ = 0;  // what was counted of the outcome
  bool listening_ = false;    // the peer, which is a server
};

inline const auto name_of_death = [](const auto& instance) {
  return std::get<0>(instance.param).name + (std::get<1>(instance.param) == SIGKILL ? "_killed" : "_stopped");
};

}  // namespace memif::hostile
