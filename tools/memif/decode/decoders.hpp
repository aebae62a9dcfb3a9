// The decoders of protocols, each of which appends to the line and hands on what is inside.
#pragma once

#include <fmt/format.h>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "common/address.hpp"
#include "decode/part.hpp"

namespace memif::tool::decoding {

// The line so far, and how deep in tunnels we are.
struct Line {
  std::string text;
  std::string notes;  // what is wrong with checksums, for the end
  unsigned depth = 0;
  bool verbose = false;

  template <class... Values>
  void add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text), format, std::forward<Values>(values)...);
  }
};

// The addresses of the IP packet around a payload.
struct Ends {
  IpAddress source, destination;
  std::uint8_t protocol = 0;
  bool fragment = false;            // a part of the payload is elsewhere
  std::string prefix{};             // "frag (0|32) ": comes between addresses and ports
  std::optional<IpAddress> last{};  // where a routing header leads to: checksums cover this destination
};

void ethernet(Line& line, const Part& frame);
void by_ethertype(Line& line, std::uint16_t type, const Part& payload);
void arp(Line& line, const Part& part);
void mpls(Line& line, const Part& part);
void llc(Line& line, const Part& part);
void lldp(Line& line, const Part& part);
void slow_protocols(Line& line, const Part& part);

void ip(Line& line, const Part& part);  // IPv4 or IPv6, as its first byte says
void ip_protocol(Line& line, const Ends& ends, const Part& payload);

void tcp(Line& line, const Ends& ends, const Part& part);
void udp(Line& line, const Ends& ends, const Part& part);
void sctp(Line& line, const Ends& ends, const Part& part);
void icmp(Line& line, const Ends& ends, const Part& part);
void icmp6(Line& line, const Ends& ends, const Part& part);
void igmp(Line& line, const Ends& ends, const Part& part);
void gre(Line& line, const Part& part);

// What UDP carries, by its ports; false: nothing that is known.
bool udp_payload(Line& line, std::uint16_t source, std::uint16_t destination, const Part& payload);
void dns(Line& line, const Part& part);
void dhcp(Line& line, const Part& part);

// "10.0.0.1 > 10.0.0.2: ", or with ports.
void addresses(Line& line, const Ends& ends);
void addresses(Line& line, const Ends& ends, std::uint16_t source, std::uint16_t destination);

// Notes a checksum that is wrong, over a pseudo header and all of the part, where all of it is there. A sum of the
// pseudo header alone is one that a network card was to complete.
void check_sum(Line& line, const char* name, const Ends& ends, const Part& part, std::uint16_t found);

std::string type_name(std::uint16_t type);  // "ethertype IPv4 (0x0800)", or "802.3"
IpAddress address4(View bytes);
IpAddress address6(View bytes);
Mac mac(View bytes);
std::string text_of(View bytes);  // printable

}  // namespace memif::tool::decoding
