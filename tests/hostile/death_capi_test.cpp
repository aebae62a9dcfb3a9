// Peers that stop or die, against the C API.
#include "c_victim.hpp"
#include "death.hpp"

namespace memif::hostile {
namespace {

// All of them but four of five of those that stop in a handshake: the deadline of five seconds cannot be set with this
// API, and each waits for it twice.
template <class Attack>
std::vector<DeathBy<Attack>> chosen(const std::vector<Attack>& points) {
  constexpr std::size_t one_in = 5;
  std::size_t number = 0;
  std::vector<DeathBy<Attack>> deaths;
  for (const Attack& point : points)
    for (const int signal : {SIGKILL, SIGSTOP}) {
      const DeathBy<Attack> death(point, signal);
      if (!stops_in_handshake(death) || number++ % one_in == 0) deaths.push_back(death);
    }
  return deaths;
}

class ClientOfServerInCDies : public testing::TestWithParam<DeathBy<AttackOnServer>> {};
class ServerOfClientInCDies : public testing::TestWithParam<DeathBy<AttackOnClient>> {};

TEST_P(ClientOfServerInCDies, AndIsServedWhenItReturns) { Death<AttackOnServer, CVictim>(GetParam()).run(); }
TEST_P(ServerOfClientInCDies, AndIsServedWhenItReturns) { Death<AttackOnClient, CVictim>(GetParam()).run(); }

INSTANTIATE_TEST_SUITE_P(Hostile, ClientOfServerInCDies, testing::ValuesIn(chosen(deaths_of_client())), name_of_death);
INSTANTIATE_TEST_SUITE_P(Hostile, ServerOfClientInCDies, testing::ValuesIn(chosen(deaths_of_server())), name_of_death);

}  // namespace
}  // namespace memif::hostile
