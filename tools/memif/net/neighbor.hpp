// Asking for the MAC address of a neighbour, by ARP or neighbour discovery. Pure.
#pragma once

#include <optional>

#include "net/codec.hpp"

namespace memif::tool {

// The frame that asks all neighbours who has `target`, which is of the same family as `source`.
Bytes ask_for(const IpAddress& target, const Mac& own, const IpAddress& source);

// What a packet of Ethernet answers to that, if it does.
std::optional<Mac> answer_of(View packet, const IpAddress& target) noexcept;

}  // namespace memif::tool
