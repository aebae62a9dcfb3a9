#include "net/reassembly.hpp"

#include <algorithm>

namespace memif::tool {

std::optional<View> Reassembler::add(View link_header, const Fragment& fragment, Time now) {
  const Place datagram = find(fragment, now);
  const std::size_t before = datagram->payload.size();
  const bool sound = put(*datagram, fragment);
  bytes_ += datagram->payload.size() - before;
  if (!sound) {
    drop(datagram);
    return std::nullopt;
  }
  if (datagram->received != datagram->size) {
    keep_limits(now);
    return std::nullopt;
  }
  const View whole = build(link_header, *datagram, fragment.hop_limit);
  drop(datagram);
  return whole;
}

// The datagram of a fragment, begun if need be.
Reassembler::Place Reassembler::find(const Fragment& fragment, Time now) {
  keep_limits(now);
  const bool v6 = fragment.source.v6();
  const auto same = [&](const Datagram& one) {
    return one.id == fragment.id && one.source == fragment.source && one.destination == fragment.destination &&
           (v6 || one.protocol == fragment.protocol);
  };
  const Place known = std::find_if(datagrams_.begin(), datagrams_.end(), same);
  if (known != datagrams_.end()) return known;
  if (datagrams_.size() >= limits_.datagrams) drop(datagrams_.begin());
  datagrams_.push_back({fragment.source, fragment.destination, fragment.id, fragment.protocol, now});
  return std::prev(datagrams_.end());
}

// False: the fragment contradicts what came before, or is one too many. One that came before counts once.
bool Reassembler::put(Datagram& datagram, const Fragment& fragment) const {
  const Part part{fragment.offset, fragment.offset + fragment.payload.size()};
  const std::size_t known_end = datagram.parts.empty() ? 0 : datagram.parts.back().end;
  if (datagram.size && part.end > *datagram.size) return false;
  if (!fragment.more && (known_end > part.end || (datagram.size && *datagram.size != part.end))) return false;

  const auto next = std::find_if(datagram.parts.begin(), datagram.parts.end(),
                                 [&part](const Part& other) { return other.end > part.begin; });
  if (next != datagram.parts.end() && next->begin < part.end) return next->begin == part.begin && next->end == part.end;
  if (datagram.parts.size() >= limits_.parts) return false;
  datagram.parts.insert(next, part);
  if (!fragment.more) datagram.size = part.end;
  if (part.begin == 0) datagram.protocol = fragment.protocol;
  datagram.received += fragment.payload.size();
  if (datagram.payload.size() < part.end) datagram.payload.resize(part.end);
  std::copy(fragment.payload.begin(), fragment.payload.end(),
            datagram.payload.begin() + static_cast<std::ptrdiff_t>(part.begin));
  return true;
}

void Reassembler::drop(Place datagram) {
  bytes_ -= datagram->payload.size();
  datagrams_.erase(datagram);
}

void Reassembler::keep_limits(Time now) {
  while (!datagrams_.empty() && (bytes_ > limits_.bytes || now - datagrams_.front().began >= limits_.age))
    drop(datagrams_.begin());
}

View Reassembler::build(View link_header, const Datagram& datagram, std::uint8_t hop_limit) {
  packet_.assign(link_header.begin(), link_header.end());
  append_ip(packet_, datagram.source, datagram.destination, datagram.protocol, hop_limit, datagram.payload.size());
  packet_.insert(packet_.end(), datagram.payload.begin(), datagram.payload.end());
  return packet_;
}

}  // namespace memif::tool
