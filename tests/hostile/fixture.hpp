// Each attack of a table against a victim that must live, wait quietly, tell what happened, lose nothing, and serve its
// second interface all the while. The victim is a program of the C++ API or one of the C API.
#pragma once

#include <algorithm>
#include <gtest/gtest.h>
#include <ostream>

#include "attacks.hpp"
#include "peer_process.hpp"
#include "support/resources.hpp"

namespace memif::hostile {

inline constexpr int rounds = 3;  // the first is for what is allocated once and kept

template <class Attack, class Victim>
class Under : public testing::TestWithParam<Attack> {
 protected:
  static constexpr Role role = std::is_same_v<Attack, AttackOnServer> ? Role::server : Role::client;

  // Starts what the peer does, and lets the victim run until it is done.
  void attack(char command) {
    peer_.tell(command);
    int answer = 0;
    ASSERT_TRUE(victim_.turn_until([&] {
      answer = peer_.answer();
      if (answer == 'r') victim_.connect();
      return answer != 0 && answer != 'r';
    }));
    ASSERT_EQ(answer, command == 'c' ? 'c' : 'd') << "the peer could not do what it was told";
  }

  void expect_reported(std::uint64_t before) {
    const Expected& expected = this->GetParam().expected;
    if (expected.outcome == Outcome::harmless || expected.outcome == Outcome::contained) return;
    const bool seen = victim_.turn_until([&] { return victim_.tells(expected, before); });
    const Reason reason = victim_.last_reason(expected);
    EXPECT_TRUE(seen) << "counted " << victim_.count(expected) - before << ", last reason: " << reason.code.message()
                      << ": " << reason.text;
    EXPECT_TRUE(std::all_of(reason.text.begin(), reason.text.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
  }

  void one_round() {
    const std::uint64_t before = victim_.count(this->GetParam().expected);
    const std::uint64_t lost_before = victim_.count({Outcome::lost});
    const std::uint64_t verified_before = victim_.bystander().verified();
    victim_.prepare();
    ASSERT_NO_FATAL_FAILURE(attack('a'));
    expect_reported(before);
    const Outcome outcome = this->GetParam().expected.outcome;
    if (outcome != Outcome::lost && outcome != Outcome::contained) {
      EXPECT_EQ(victim_.count({Outcome::lost}), lost_before) << victim_.last_reason({Outcome::lost}).text;
    }
    if (!observed_) {
      EXPECT_LT(victim_.idle_load(), 0.7);
      observed_ = true;
    }
    EXPECT_TRUE(victim_.turn_until([&] { return victim_.bystander().verified() > verified_before; }));
    ASSERT_NO_FATAL_FAILURE(clean());
  }

  void clean() {
    ASSERT_NO_FATAL_FAILURE(attack('c'));
    if (role == Role::client) victim_.hang_up();
    ASSERT_TRUE(victim_.turn_until([&] { return victim_.settled(); }));
    victim_.turn();
  }

  Victim victim_{role, this->GetParam().setup};
  PeerProcess peer_{
      {HOSTILE_PEER, role == Role::server ? "server" : "client", this->GetParam().name, victim_.socket()}};
  bool observed_ = false;

 public:
  void run() {
    ASSERT_TRUE(victim_.turn_until([&] { return victim_.bystander().connected(); }));
    test::Resources before;
    for (int round = 0; round < rounds; ++round) {
      if (round == 1) before = test::resources();
      ASSERT_NO_FATAL_FAILURE(one_round());
    }
    const test::Resources after = test::resources();
    EXPECT_EQ(after.descriptors, before.descriptors);
    EXPECT_LE(after.mappings, before.mappings + 2);
    EXPECT_LE(after.heap, before.heap + test::heap_noise());

    // And a peer that behaves is served as ever.
    if (this->GetParam().setup != Setup::sealed_only && this->GetParam().setup != Setup::unsealed_memory) {
      ASSERT_NO_FATAL_FAILURE(attack('h'));
      EXPECT_GE(victim_.good(), 100u);
    }
    EXPECT_EQ(victim_.evil(), 0u);
    EXPECT_EQ(victim_.outside(), 0u);
    EXPECT_EQ(victim_.bystander().wrong(), 0u);
    EXPECT_EQ(victim_.bystander().disconnects(), 0u);
  }
};

inline const auto name_of = [](const auto& instance) { return instance.param.name; };

template <class Peer>
void PrintTo(const AttackBy<Peer>& attack, std::ostream* out) {
  *out << attack.name;
}

}  // namespace memif::hostile
