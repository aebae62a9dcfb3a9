// Peers that stop or die, against the C++ API.
#include "death.hpp"

#include "death_timing.hpp"
#include "victim.hpp"

namespace memif::hostile {
namespace {

class ClientDies : public testing::TestWithParam<DeathBy<AttackOnServer>> {};
class ServerDies : public testing::TestWithParam<DeathBy<AttackOnClient>> {};

TEST_P(ClientDies, AndIsServedWhenItReturns) { Death<AttackOnServer, Victim>(GetParam()).run(); }
TEST_P(ServerDies, AndIsServedWhenItReturns) { Death<AttackOnClient, Victim>(GetParam()).run(); }

INSTANTIATE_TEST_SUITE_P(Hostile, ClientDies,
                         testing::Combine(testing::ValuesIn(deaths_of_client()), testing::Values(SIGKILL, SIGSTOP)),
                         name_of_death);
INSTANTIATE_TEST_SUITE_P(Hostile, ServerDies,
                         testing::Combine(testing::ValuesIn(deaths_of_server()), testing::Values(SIGKILL, SIGSTOP)),
                         name_of_death);

TEST(DeathTiming, IsNoticedWithin100MillisecondsAndMendedWithinASecond) { expect_noticed_and_mended<Victim>(); }

}  // namespace
}  // namespace memif::hostile
