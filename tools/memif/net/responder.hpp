// What a host does about ARP, neighbour discovery and echo requests for its addresses; and what a reflector does.
//
// Pure: the beginning of a packet in, the beginning of the answer out. The rest of an answer is the rest of the packet,
// so packets of any length are answered without reading more than their headers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include <memif/config.hpp>

#include "common/address.hpp"
#include "net/codec.hpp"

namespace memif::tool {

inline constexpr std::size_t head_size = 128;  // enough for every header here

struct Answer {
  enum class Kind { arp, neighbor, echo, reflection };

  // Whether it is one of those that the user asked for, not what has to come first.
  bool counts() const noexcept { return kind == Kind::echo || kind == Kind::reflection; }

  Kind kind = Kind::echo;
  std::size_t size = 0;       // of the whole answer
  std::size_t rewritten = 0;  // bytes of `head`; what follows is as in the packet
  std::array<std::uint8_t, head_size> head{};
};

class Responder {
 public:
  using MacOf = std::function<Mac(const IpAddress&)>;  // of one of its addresses

  Responder(Mode mode, MacOf mac_of, std::vector<AddressRange> addresses)
      : mode_(mode), mac_of_(std::move(mac_of)), addresses_(std::move(addresses)) {}
  Responder(Mode mode, const Mac& mac, std::vector<AddressRange> addresses)
      : Responder(
            mode, [mac](const IpAddress&) { return mac; }, std::move(addresses)) {}

  // `head`: a copy of the first bytes of a packet of `size` bytes, all of them if it is not longer than head_size.
  std::optional<Answer> answer(View head, std::size_t size) const;

  // Whether the packet is a part of a datagram for one of the addresses.
  bool fragment(View head, std::size_t size) const noexcept;

  bool owns(const IpAddress& address) const noexcept;

 private:
  std::optional<Answer> answer_arp(const Ethernet& frame) const;
  std::optional<Answer> answer_echo(View head, std::size_t size, std::size_t link_header, const Ip& ip) const;
  std::optional<Answer> answer_solicitation(const Mac& asker, const Ip& ip) const;

  Mode mode_;
  MacOf mac_of_;
  std::vector<AddressRange> addresses_;
};

enum class Reflect { macs, addresses };

// Sends a packet back: swaps the MAC addresses (ethernet mode) and, with Reflect::addresses, the IP addresses and the
// ports as well; none of that changes a checksum. What cannot be swapped goes back as it came.
Answer reflect(View head, std::size_t size, Mode mode, Reflect what);

}  // namespace memif::tool
