// All attacks on the C++ API.
#include "fixture.hpp"
#include "victim.hpp"

namespace memif::hostile {
namespace {

using ServerUnder = Under<AttackOnServer, Victim>;
using ClientUnder = Under<AttackOnClient, Victim>;

TEST_P(ServerUnder, Attack) { run(); }
TEST_P(ClientUnder, Attack) { run(); }

// The attacker can write all of the pool: packets may be wrong, but everything else holds.
using PooledClientUnder = Under<AttackOnClient, PooledVictim>;
TEST_P(PooledClientUnder, Attack) { run(); }
std::vector<AttackOnClient> attacks_on_a_pool() {
  std::vector<AttackOnClient> attacks;
  for (const AttackOnClient& attack : memory_attacks_on_client())
    if (attack.setup == Setup::usual) attacks.push_back(attack);
  return attacks;
}
INSTANTIATE_TEST_SUITE_P(Hostile, PooledClientUnder, testing::ValuesIn(attacks_on_a_pool()), name_of);

INSTANTIATE_TEST_SUITE_P(Hostile, ServerUnder, testing::ValuesIn(attacks_on_server()), name_of);
INSTANTIATE_TEST_SUITE_P(Hostile, ClientUnder, testing::ValuesIn(attacks_on_client()), name_of);

}  // namespace
}  // namespace memif::hostile
