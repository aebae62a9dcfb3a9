// Each attack of a table against a victim that must live, wait quietly, tell what happened, lose nothing, and serve its
// second interface all the while.
#pragma once

#include <algorithm>

#include "trial.hpp"

namespace memif::hostile {

template <class Attack, class Victim>
class Under : public testing::TestWithParam<Attack>, Trial<Attack, Victim> {
  using Base = Trial<Attack, Victim>;
  using Base::attack_, Base::victim_, Base::peer_, Base::turn_until;

  // Starts what the peer does, and lets the victim run until it is done.
  void attack(char command) {
    peer_->tell(command);
    int answer = 0;
    ASSERT_TRUE(turn_until([&] {
      answer = peer_->answer();
      if (answer == 'r') victim_.connect();
      return answer != 0 && answer != 'r';
    }));
    ASSERT_EQ(answer, command == 'c' ? 'c' : 'd') << "the peer could not do what it was told";
  }

  void expect_reported(std::uint64_t before) {
    const Expected& expected = attack_.expected;
    if (expected.outcome == Outcome::harmless || expected.outcome == Outcome::contained) return;
    const bool seen = turn_until([&] { return victim_.tells(expected, before); });
    const Reason reason = victim_.last_reason(expected);
    EXPECT_TRUE(seen) << "counted " << victim_.count(expected) - before << ", last reason: " << reason.code.message()
                      << ": " << reason.text;
    EXPECT_TRUE(std::all_of(reason.text.begin(), reason.text.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
  }

  void one_round() {
    const std::uint64_t before = victim_.count(attack_.expected);
    const std::uint64_t lost_before = victim_.count({Outcome::lost});
    const std::uint64_t verified_before = victim_.bystander().verified();
    victim_.prepare();
    ASSERT_NO_FATAL_FAILURE(attack('a'));
    expect_reported(before);
    const Outcome outcome = attack_.expected.outcome;
    if (outcome != Outcome::lost && outcome != Outcome::contained) {
      EXPECT_EQ(victim_.count({Outcome::lost}), lost_before) << victim_.last_reason({Outcome::lost}).text;
    }
    if (!observed_) {
      EXPECT_LT(victim_.idle_load(), 0.7);
      observed_ = true;
    }
    EXPECT_TRUE(turn_until([&] { return victim_.bystander().verified() > verified_before; }));
    ASSERT_NO_FATAL_FAILURE(attack('c'));
    ASSERT_NO_FATAL_FAILURE(this->settle());
  }

  bool observed_ = false;

 public:
  Under() : Base(testing::TestWithParam<Attack>::GetParam()) { this->start_peer(); }

  void run() {
    ASSERT_NO_FATAL_FAILURE(this->repeat(3, [this] { one_round(); }));
    // And a peer that behaves is served as ever.
    if (attack_.setup != Setup::sealed_only && attack_.setup != Setup::unsealed_memory) {
      ASSERT_NO_FATAL_FAILURE(attack('h'));
      EXPECT_GE(victim_.good(), 100u);
    }
    this->expect_unharmed();
  }
};

inline const auto name_of = [](const auto& instance) { return instance.param.name; };

}  // namespace memif::hostile
