#include "net/neighbor.hpp"

namespace memif::tool {

Bytes ask_for(const IpAddress& target, const Mac& own, const IpAddress& source) {
  Bytes frame;
  if (target.v6()) {
    const IpAddress group = target.solicited_node();
    append_ethernet(frame, group.multicast_mac(), own, ethertype::ipv6);
    append_neighbor(frame, source, group, {true, target, own});
  } else {
    append_ethernet(frame, broadcast_mac, own, ethertype::arp);
    append_arp(frame, {Arp::request, own, source, Mac{}, target});
  }
  return frame;
}

std::optional<Mac> answer_of(View packet, const IpAddress& target) noexcept {
  const auto frame = parse_ethernet(packet);
  if (!frame) return std::nullopt;
  if (frame->type == ethertype::arp) {
    const auto arp = parse_arp(frame->payload);
    return arp && arp->operation == Arp::reply && arp->sender == target ? std::optional(arp->sender_mac) : std::nullopt;
  }
  const auto ip = frame->type == ethertype::ipv6 ? parse_ip(frame->payload, frame->payload.size()) : std::nullopt;
  const auto neighbor = ip ? parse_neighbor(*ip) : std::nullopt;
  if (!neighbor || neighbor->solicitation || neighbor->target != target) return std::nullopt;
  return neighbor->link_address.value_or(frame->source);
}

}  // namespace memif::tool
