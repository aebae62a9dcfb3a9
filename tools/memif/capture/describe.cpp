#include "capture/describe.hpp"

#include <ctime>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <iterator>

namespace memif::tool {
namespace {

std::string describe_arp(View payload) {
  const auto arp = parse_arp(payload);
  if (!arp) return "ARP, malformed or not for IPv4";
  const std::string target = to_string(arp->target), sender = to_string(arp->sender);
  if (arp->operation == Arp::request) return fmt::format("ARP who has {}? tell {}", target, sender);
  if (arp->operation == Arp::reply) return fmt::format("ARP {} is at {}", sender, to_string(arp->sender_mac));
  return fmt::format("ARP operation {}", arp->operation);
}

std::string describe_icmp(const Ip& ip) {
  const bool v6 = ip.source.v6();
  const char* const name = v6 ? "ICMPv6" : "ICMP";
  const auto message = parse_icmp(ip);
  if (!message) return fmt::format("{}, incomplete", name);
  const bool request = message->type == (v6 ? icmp::v6_echo_request : icmp::echo_request);
  if (request || message->type == (v6 ? icmp::v6_echo_reply : icmp::echo_reply))
    return fmt::format("{} echo {} id {} seq {}, {} bytes", name, request ? "request" : "reply", message->id,
                       message->sequence, ip.payload_size - 8);
  if (const auto neighbor = parse_neighbor(ip))
    return fmt::format("{} neighbor {} {}{}", name, neighbor->solicitation ? "solicitation, who has" : "advertisement,",
                       to_string(neighbor->target),
                       neighbor->link_address && !neighbor->solicitation
                           ? " is at " + to_string(*neighbor->link_address)
                           : std::string());
  return fmt::format("{} type {} code {}", name, message->type, message->code);
}

std::string endpoint(const std::string& address, std::uint16_t port, bool v6) {
  return v6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

std::string describe_ip(View packet, std::size_t total) {
  const auto ip = parse_ip(packet, total);
  if (!ip) return "IP, malformed";
  const std::string source = to_string(ip->source), destination = to_string(ip->destination);
  const char* const version = ip->source.v6() ? "IPv6" : "IPv4";
  if (const auto ports = parse_ports(*ip)) {
    const bool v6 = ip->source.v6();
    return fmt::format("{} {} > {} {}, {} bytes", version, endpoint(source, ports->source, v6),
                       endpoint(destination, ports->destination, v6), ip->protocol == protocol::udp ? "UDP" : "TCP",
                       ip->payload_size);
  }
  std::string content = fmt::format("protocol {}, {} bytes", ip->protocol, ip->payload_size);
  if (ip->fragment)
    content = "fragment, " + content;
  else if (ip->protocol == (ip->source.v6() ? protocol::icmpv6 : protocol::icmp))
    content = describe_icmp(*ip);
  return fmt::format("{} {} > {} {}", version, source, destination, content);
}

// What follows an Ethernet header, behind up to two VLAN tags.
std::string describe_payload(std::uint16_t type, View payload, std::size_t total) {
  std::string tags;
  for (int i = 0; i < 2 && (type == ethertype::vlan || type == ethertype::qinq); ++i) {
    const auto vlan = parse_vlan(payload);
    if (!vlan) break;
    tags += fmt::format("vlan {} ", vlan->id);
    type = vlan->type;
    payload = vlan->payload;
    total -= 4;
  }
  if (type == ethertype::arp) return tags + describe_arp(payload);
  if (type == ethertype::ipv4 || type == ethertype::ipv6) return tags + describe_ip(payload, total);
  return fmt::format("{}type 0x{:04x}", tags, type);
}

}  // namespace

std::string describe(View packet, std::size_t total, Mode mode) {
  switch (mode) {
    case Mode::ethernet: {
      const auto frame = parse_ethernet(packet);
      if (!frame) return "Ethernet, too short";
      return fmt::format("{} > {} {}", to_string(frame->source), to_string(frame->destination),
                         describe_payload(frame->type, frame->payload, total - 14));
    }
    case Mode::ip:
      return describe_ip(packet, total);
    case Mode::punt_inject:
      return "punt/inject";
  }
  return {};
}

// In whole numbers: the conversions of std::chrono overflow for the first second that a capture can name.
std::string describe(CaptureTime time) {
  constexpr std::int64_t second = 1'000'000'000;
  const std::int64_t ns = time.time_since_epoch().count();
  const std::int64_t rest = (ns % second + second) % second;
  const std::int64_t whole = ns / second - (ns % second < 0 ? 1 : 0);
  return fmt::format("{:%H:%M:%S}.{:06}", fmt::localtime(static_cast<std::time_t>(whole)), rest / 1000);
}

std::string hex_dump(View bytes) {
  std::string result;
  auto out = std::back_inserter(result);
  for (std::size_t line = 0; line < bytes.size(); line += 16) {
    const View row = bytes.subspan(line, std::min<std::size_t>(16, bytes.size() - line));
    fmt::format_to(out, "{}\t{:04x}: ", line == 0 ? "" : "\n", line);
    for (std::size_t i = 0; i < 16; ++i) {
      if (i % 2 == 0) result += ' ';
      if (i < row.size())
        fmt::format_to(out, "{:02x}", row[i]);
      else
        result += "  ";
    }
    result += "  ";
    for (const std::uint8_t byte : row) result += byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
  }
  return result;
}

}  // namespace memif::tool
