#include "attacks.hpp"

namespace memif::hostile {
namespace {

template <class Attack>
std::vector<Attack> all(std::initializer_list<std::span<const Attack>> tables) {
  std::vector<Attack> attacks;
  for (const auto& table : tables) attacks.insert(attacks.end(), table.begin(), table.end());
  return attacks;
}

}  // namespace

std::vector<AttackOnServer> attacks_on_server() {
  return all({control_attacks_on_server(), layout_attacks_on_server(), file_attacks_on_server(),
              memory_attacks_on_server(), closing_attacks_on_server()});
}

std::vector<AttackOnClient> attacks_on_client() {
  return all({control_attacks_on_client(), memory_attacks_on_client(), closing_attacks_on_client()});
}

}  // namespace memif::hostile
