// Attacks on the C API. What differs from the C++ API is the data calls, so all attacks that are made while there is
// traffic, or take memory away; and some of each other kind.
#include "c_victim.hpp"
#include "fixture.hpp"

namespace memif::hostile {
namespace {

template <class Attack>
std::vector<Attack> chosen(std::vector<Attack> attacks) {
  constexpr std::size_t one_in = 5;
  std::size_t number = 0;
  const auto is_about = [](const Attack& attack, const char* what) {
    return attack.name.find(what) != std::string::npos;
  };
  std::erase_if(attacks, [&](const Attack& attack) {
    if (attack.setup != Setup::usual) return true;                 // not to be had with this API
    if (attack.name == "BuffersVanishDuringTraffic") return true;  // its peer waits for a link that has ended
    for (const char* kind : {"DuringTraffic", "Vanish", "Lingering"})
      if (is_about(attack, kind)) return false;
    return number++ % one_in != 0;
  });
  // Long packets come in pieces here, which go back one by one: whether there is an end is nobody's concern.
  for (Attack& attack : attacks)
    if (is_about(attack, "ChainWithoutEnd")) attack.expected = harmless;
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
