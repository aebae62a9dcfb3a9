// What every trial of a victim is: a peer in a process of its own, rounds of the same, and what must hold after them.
// The victim is a program of the C++ API or one of the C API.
#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <ostream>
#include <type_traits>

#include "any_victim.hpp"
#include "attacks.hpp"
#include "peer_process.hpp"
#include "support/resources.hpp"

namespace memif::hostile {

template <class Attack, class Victim>
class Trial {
 protected:
  static constexpr Role role = std::is_same_v<Attack, AttackOnServer> ? Role::server : Role::client;  // the victim's

  // With the stacks of threads that have closed what the peer sent, the C library keeps their tables of thread-local
  // memory, a few hundred bytes of each. One leaked object a connection would be a hundred times as much.
  static constexpr std::size_t kept_of_threads = 64 * 512;

  explicit Trial(Attack attack) : attack_(std::move(attack)), victim_(role, attack_.setup) {}

  void start_peer() {
    peer_.reset();
    peer_ = std::make_unique<PeerProcess>(std::vector<std::string>{
        HOSTILE_PEER, role == Role::server ? "server" : "client", attack_.name, victim_.socket()});
  }

  bool turn_until(const std::function<bool()>& done) { return victim_.turn_until(done); }

  // The first round is for what is made once and kept. Nothing is left over of the others.
  template <class Round>
  void repeat(int rounds, Round one_round) {
    ASSERT_TRUE(turn_until([&] { return victim_.bystander().connected(); }));
    test::Resources before;
    for (int round = 0; round < rounds; ++round) {
      if (round == 1) before = test::resources();
      ASSERT_NO_FATAL_FAILURE(one_round());
    }
    // What is closed and unmapped by the C library's threads is so some time.
    test::Resources after;
    static_cast<void>(turn_until([&] {
      after = test::resources();
      return after.descriptors == before.descriptors && after.mappings <= before.mappings + 2;
    }));
    EXPECT_EQ(after.descriptors, before.descriptors);
    EXPECT_LE(after.mappings, before.mappings + 2);
    EXPECT_LE(after.heap, before.heap + test::heap_noise() + kept_of_threads);
  }

  // The peer has let go of everything. So does the victim.
  void settle() {
    if (role == Role::client) victim_.hang_up();
    ASSERT_TRUE(turn_until([&] { return victim_.settled(); }));
    victim_.turn();
  }

  void expect_unharmed() {
    EXPECT_LE(victim_.longest_turn(), AnyVictim::longest_allowed) << "a call waited for the peer";
    EXPECT_EQ(victim_.evil(), 0u);
    EXPECT_EQ(victim_.outside(), 0u);
    EXPECT_EQ(victim_.mistaken(), 0u);
    if constexpr (requires { victim_.missing(); }) {
      EXPECT_EQ(victim_.missing(), 0) << "buffers of the pool";
    } else {
      EXPECT_EQ(victim_.bystander().wrong(), 0u);  // a peer of a pool can write all of its packets
    }
    EXPECT_EQ(victim_.bystander().disconnects(), 0u);
  }

  Attack attack_;
  Victim victim_;
  std::unique_ptr<PeerProcess> peer_;
};

template <class Peer>
void PrintTo(const AttackBy<Peer>& attack, std::ostream* out) {
  *out << attack.name;
}

}  // namespace memif::hostile
