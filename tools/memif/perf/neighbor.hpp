// What a port of memif perf says as a host among others: it answers ARP, neighbour discovery and pings for its
// addresses. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "net/responder.hpp"
#include "perf/flows.hpp"

namespace memif::tool {

// Not changed after it was made: shared by threads.
class PerfNeighbor {
 public:
  PerfNeighbor(Mode mode, const PerfHosts& hosts, std::vector<std::uint16_t> vlans);

  // What is to be sent for a packet of `size` bytes that begins with `head`, if anything.
  std::optional<Bytes> answer(View head, std::size_t size) const;

  // The frame by which its first host asks for a neighbour's MAC address, and what a frame answers to that.
  Bytes ask_for(const IpAddress& target) const;
  std::optional<Mac> answer_of(View frame, const IpAddress& target) const;

  const IpAddress& first_address() const noexcept { return first_address_; }

 private:
  Mode mode_;
  IpAddress first_address_;
  Mac first_mac_;
  std::vector<std::uint16_t> vlans_;
  Responder responder_;
};

}  // namespace memif::tool
