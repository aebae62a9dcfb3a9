// Peers that stop or die, against the C++ API; and how long it takes either API to notice.
#include "death.hpp"

#include <algorithm>
#include <cstdio>

#include "c_victim.hpp"
#include "victim.hpp"

namespace memif::hostile {
namespace {

using namespace std::chrono_literals;

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

// What is promised, on a machine with nothing else to do.
template <class Victim>
void expect_noticed_and_mended() {
  std::vector<Times> times;
  for (const auto& point : deaths_of_client()) times.push_back(Death<AttackOnServer, Victim>({point, SIGKILL}).run());
  for (const auto& point : deaths_of_server()) times.push_back(Death<AttackOnClient, Victim>({point, SIGKILL}).run());
  const auto report = [&](const char* what, Clock::duration Times::*time) {
    std::vector<Clock::duration> all;
    for (const Times& one : times) all.push_back(one.*time);
    std::sort(all.begin(), all.end());
    const auto ms = [](Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); };
    std::printf("%s, %zu points: median %.1f ms, longest %.1f ms\n", what, all.size(), ms(all[all.size() / 2]),
                ms(all.back()));
    return all;
  };
  const auto noticed = report("death noticed", &Times::noticed);
  const auto returned = report("served again, counted from when its process is told to begin", &Times::returned);
  // The few that met another program's turn are in the printed figures.
  EXPECT_LE(noticed[noticed.size() * 9 / 10], 100ms);
  EXPECT_LE(returned[returned.size() * 9 / 10], 1000ms);
}

TEST(DeathTiming, IsNoticedWithin100MillisecondsAndMendedWithinASecond) { expect_noticed_and_mended<Victim>(); }
TEST(DeathTiming, IsNoticedAndMendedAsSoonInC) { expect_noticed_and_mended<CVictim>(); }

}  // namespace
}  // namespace memif::hostile
