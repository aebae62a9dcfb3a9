#include "net/responder.hpp"

#include <algorithm>

namespace memif::tool {
namespace {

constexpr std::uint8_t fresh_hop_limit = 64;

Answer make_answer(Answer::Kind kind, View head, std::size_t size) {
  Answer answer;
  answer.kind = kind;
  answer.size = size;
  answer.rewritten = std::min(head.size(), answer.head.size());
  std::copy_n(head.begin(), answer.rewritten, answer.head.begin());
  return answer;
}

void swap_bytes(std::span<std::uint8_t> bytes, std::size_t a, std::size_t b, std::size_t count) {
  std::swap_ranges(bytes.begin() + static_cast<std::ptrdiff_t>(a),
                   bytes.begin() + static_cast<std::ptrdiff_t>(a + count),
                   bytes.begin() + static_cast<std::ptrdiff_t>(b));
}

void swap_ip_addresses(std::span<std::uint8_t> packet, bool v6) {
  if (v6)
    swap_bytes(packet, 8, 24, 16);
  else
    swap_bytes(packet, 12, 16, 4);
}

}  // namespace

bool Responder::owns(const IpAddress& address) const noexcept {
  return std::any_of(addresses_.begin(), addresses_.end(),
                     [&address](const AddressRange& range) { return range.contains(address); });
}

std::optional<Answer> Responder::answer(View head, std::size_t size) const {
  std::size_t link_header = 0;
  Mac asker{};
  if (mode_ == Mode::ethernet) {
    const auto frame = parse_ethernet(head);
    if (!frame) return std::nullopt;
    if (frame->type == ethertype::arp) return answer_arp(*frame);
    if (frame->type != ethertype::ipv4 && frame->type != ethertype::ipv6) return std::nullopt;
    link_header = ethernet_header;
    asker = frame->source;
  }
  const auto ip = parse_ip(head.subspan(link_header), size - link_header);
  if (!ip) return std::nullopt;
  const auto message = parse_icmp(*ip);
  if (!message) return std::nullopt;
  const bool v6 = ip->source.v6();
  if (v6 && message->type == icmp::solicitation) return answer_solicitation(asker, *ip);
  if (message->type == (v6 ? icmp::v6_echo_request : icmp::echo_request) && message->code == 0)
    return answer_echo(head, size, link_header, *ip);
  return std::nullopt;
}

bool Responder::fragment(View head, std::size_t size) const noexcept {
  const std::size_t link_header = mode_ == Mode::ethernet ? ethernet_header : 0;
  if (head.size() <= link_header) return false;
  const auto ip = parse_ip(head.subspan(link_header), size - link_header);
  return ip && ip->fragment && owns(ip->destination);
}

std::optional<Answer> Responder::answer_arp(const Ethernet& frame) const {
  const auto arp = parse_arp(frame.payload);
  if (!arp || arp->operation != Arp::request || !owns(arp->target)) return std::nullopt;
  Bytes reply;
  const Mac own = mac_of_(arp->target);
  append_ethernet(reply, arp->sender_mac, own, ethertype::arp);
  append_arp(reply, {Arp::reply, own, arp->target, arp->sender_mac, arp->sender});
  return make_answer(Answer::Kind::arp, reply, reply.size());
}

// The request with its addresses swapped and its type changed. The checksum is adjusted, not made anew: whatever was
// wrong with the request's data on its way here stays visible to the one who asked.
std::optional<Answer> Responder::answer_echo(View head, std::size_t size, std::size_t link_header, const Ip& ip) const {
  if (!owns(ip.destination) || ip.source.multicast() || ip.source.unspecified()) return std::nullopt;
  Answer answer = make_answer(Answer::Kind::echo, head, size);
  const std::span<std::uint8_t> all(answer.head);
  if (link_header != 0) {
    swap_bytes(all, 0, 6, 6);
    const Mac own = mac_of_(ip.destination);
    std::copy(own.begin(), own.end(), all.begin() + 6);
  }
  const auto packet = all.subspan(link_header);
  const bool v6 = ip.source.v6();
  swap_ip_addresses(packet, v6);
  if (v6) {
    packet[7] = fresh_hop_limit;
  } else {
    const std::uint16_t before = get16(packet, 8);
    packet[8] = fresh_hop_limit;
    put16(packet, 10, adjust_checksum(get16(packet, 10), before, get16(packet, 8)));
  }
  const auto message = packet.subspan(ip.header_size);
  const std::uint16_t before = get16(message, 0);
  message[0] = v6 ? icmp::v6_echo_reply : icmp::echo_reply;
  put16(message, 2, adjust_checksum(get16(message, 2), before, get16(message, 0)));
  return answer;
}

std::optional<Answer> Responder::answer_solicitation(const Mac& asker, const Ip& ip) const {
  const auto question = parse_neighbor(ip);
  if (!question || !owns(question->target)) return std::nullopt;
  // Who has no address yet is probing for a duplicate, and is told together with everybody else (RFC 4861, 7.2.4).
  static constexpr std::array<std::uint8_t, 16> all_nodes{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const bool probe = ip.source.unspecified();
  const IpAddress to = probe ? IpAddress(std::span<const std::uint8_t, 16>(all_nodes)) : ip.source;
  Bytes reply;
  const auto own = mode_ == Mode::ethernet ? std::optional(mac_of_(question->target)) : std::nullopt;
  if (own)
    append_ethernet(reply, probe ? to.multicast_mac() : question->link_address.value_or(asker), *own, ethertype::ipv6);
  append_neighbor(reply, question->target, to, {false, question->target, own});
  return make_answer(Answer::Kind::neighbor, reply, reply.size());
}

Answer reflect(View head, std::size_t size, Mode mode, Reflect what) {
  Answer answer = make_answer(Answer::Kind::reflection, head, size);
  const std::span<std::uint8_t> all(answer.head);
  std::size_t link_header = 0;
  if (mode == Mode::ethernet) {
    if (answer.rewritten < ethernet_header) return answer;
    swap_bytes(all, 0, 6, 6);
    link_header = ethernet_header;
  }
  if (what == Reflect::macs) return answer;
  const auto ip = parse_ip(head.first(answer.rewritten).subspan(link_header), size - link_header);
  if (!ip) return answer;
  swap_ip_addresses(all.subspan(link_header), ip->source.v6());
  if (parse_ports(*ip)) swap_bytes(all.subspan(link_header + ip->header_size), 0, 2, 2);
  return answer;
}

}  // namespace memif::tool
