// How the tables of points become deaths.
#pragma once

#include <csignal>

#include "attacks.hpp"

namespace memif::hostile {

// A point of the data path: what is done there on a link that is up.
template <class Peer>
struct OnLink {
  std::string name;
  std::function<void(Peer&)> reach;
};

template <class Peer>
std::vector<AttackBy<Peer>> deaths(std::vector<AttackBy<Peer>> points, const std::vector<OnLink<Peer>>& sending,
                                   const std::vector<OnLink<Peer>>& receiving) {
  for (const auto& table : {sending, receiving})
    for (const OnLink<Peer>& point : table)
      points.push_back(
          {point.name, lost(Errc::peer_gone), [reach = point.reach](Peer& peer) { peer.connect(), reach(peer); }});
  for (auto& point : points) point.run = [reach = point.run](Peer& peer) { reach(peer), ::raise(SIGSTOP); };
  return points;
}

}  // namespace memif::hostile
