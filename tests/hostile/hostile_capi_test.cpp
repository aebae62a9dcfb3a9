// Attacks on a program of the C API: all but those that need a setting which that API does not have.
#include "c_victim.hpp"
#include "chosen.hpp"
#include "fixture.hpp"

namespace memif::hostile {
namespace {

// Long packets come in pieces here, which go back one by one: whether there is an end is nobody's concern. And a master
// learns nothing of attempts that are over while there is a link, or while others are under way.
template <class Attack>
bool is_not_told(const std::string& attack) {
  if (std::is_same_v<Attack, AttackOnClient> && attack.starts_with("PacketLongerThanIsTaken"))
    return true;  // it is taken
  return attack.starts_with("ChainWithoutEnd") || attack == "SameIdTwice" || attack == "AThousandSilentConnections";
}

template <class Attack>
std::vector<Attack> chosen(std::vector<Attack> attacks) {
  Share share;
  std::erase_if(attacks, [&](const Attack& attack) {
    if (attack.name == "BuffersVanishDuringTraffic") return true;  // its peer waits for a link that has ended
    return attack.setup == Setup::short_timeout ? !share.takes_next() : attack.setup != Setup::usual;
  });
  for (Attack& attack : attacks)
    if (is_not_told<Attack>(attack.name)) attack.expected = harmless;
  return attacks;
}

using ServerInCUnder = Under<AttackOnServer, CVictim>;
using ClientInCUnder = Under<AttackOnClient, CVictim>;

TEST_P(ServerInCUnder, Attack) { run(); }
TEST_P(ClientInCUnder, Attack) { run(); }

INSTANTIATE_TEST_SUITE_P(Hostile, ServerInCUnder, testing::ValuesIn(chosen(attacks_on_server())), name_of);
INSTANTIATE_TEST_SUITE_P(Hostile, ClientInCUnder, testing::ValuesIn(chosen(attacks_on_client())), name_of);

}  // namespace
}  // namespace memif::hostile
