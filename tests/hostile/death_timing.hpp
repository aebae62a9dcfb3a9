// How long it takes to notice a death, and to serve the peer again.
#pragma once

#include <algorithm>
#include <cstdio>
#include <vector>

#include "death.hpp"

namespace memif::hostile {

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
  EXPECT_LE(noticed[noticed.size() * 9 / 10], std::chrono::milliseconds(100));
  EXPECT_LE(returned[returned.size() * 9 / 10], std::chrono::milliseconds(1000));
}

}  // namespace memif::hostile
