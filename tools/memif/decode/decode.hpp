// One line about a packet, in the words of tcpdump: protocols by their headers, down through tunnels. Pure.
//
// Whatever is in a packet, the line is printable. Where the packet ends too early it says "too short"; where the
// capture kept too little of it, "truncated"; and what was read before stands all the same.
#pragma once

#include <string>

#include <memif/config.hpp>

#include "net/codec.hpp"

namespace memif::tool {

// `packet` may be the beginning of a packet of `total` bytes. With `verbose` the IP header as well, as tcpdump's -v.
std::string decode(View packet, std::size_t total, Mode mode, bool verbose = false);

// "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype IPv4 (0x0800), length 64: ", for what stands before that.
std::string decode_link(View frame, std::size_t total);

}  // namespace memif::tool
