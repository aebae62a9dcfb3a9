// Peers that stop or die, against the C API.
#include "c_victim.hpp"
#include "chosen.hpp"
#include "death.hpp"
#include "death_timing.hpp"

namespace memif::hostile {
namespace {

// All of them but most of those that stop in a handshake, each of which waits for its deadline twice.
template <class Attack>
std::vector<DeathBy<Attack>> chosen(const std::vector<Attack>& points) {
  Share share;
  std::vector<DeathBy<Attack>> deaths;
  for (const Attack& point : points)
    for (const int signal : {SIGKILL, SIGSTOP}) {
      const DeathBy<Attack> death(point, signal);
      if (!stops_in_handshake(death) || share.takes_next()) deaths.push_back(death);
    }
  return deaths;
}

class ClientOfServerInCDies : public testing::TestWithParam<DeathBy<AttackOnServer>> {};
class ServerOfClientInCDies : public testing::TestWithParam<DeathBy<AttackOnClient>> {};

TEST_P(ClientOfServerInCDies, AndIsServedWhenItReturns) { Death<AttackOnServer, CVictim>(GetParam()).run(); }
TEST_P(ServerOfClientInCDies, AndIsServedWhenItReturns) { Death<AttackOnClient, CVictim>(GetParam()).run(); }

INSTANTIATE_TEST_SUITE_P(Hostile, ClientOfServerInCDies, testing::ValuesIn(chosen(deaths_of_client())), name_of_death);
INSTANTIATE_TEST_SUITE_P(Hostile, ServerOfClientInCDies, testing::ValuesIn(chosen(deaths_of_server())), name_of_death);

#if GENERATION == 40  // in all the others it is the same code
TEST(DeathTiming, IsNoticedAndMendedAsSoonInC) { expect_noticed_and_mended<CVictim>(); }
#endif

}  // namespace
}  // namespace memif::hostile
