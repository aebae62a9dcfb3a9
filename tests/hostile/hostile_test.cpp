// All attacks on the C++ API.
#include "fixture.hpp"
#include "victim.hpp"

namespace memif::hostile {
namespace {

using ServerUnder = Under<AttackOnServer, Victim>;
using ClientUnder = Under<AttackOnClient, Victim>;

TEST_P(ServerUnder, Attack) { run(); }
TEST_P(ClientUnder, Attack) { run(); }

INSTANTIATE_TEST_SUITE_P(Hostile, ServerUnder, testing::ValuesIn(attacks_on_server()), name_of);
INSTANTIATE_TEST_SUITE_P(Hostile, ClientUnder, testing::ValuesIn(attacks_on_client()), name_of);

}  // namespace
}  // namespace memif::hostile
