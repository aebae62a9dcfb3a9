#include "bridge/offload.hpp"

#include <algorithm>
#include <cstring>

#include "net/codec.hpp"

namespace memif::tool {
namespace {

constexpr std::size_t mac_header = 14, tcp_header = 20;
constexpr std::size_t longest_ip_packet = 65535;

// Offsets in TCP's header, and its flags.
constexpr std::size_t sequence_at = 4, acknowledged_at = 8, length_at = 12, flags_at = 13, window_at = 14, sum_at = 16,
                      urgent_at = 18;
constexpr std::uint8_t fin = 0x01, psh = 0x08, ack = 0x10, cwr = 0x80;

void put32(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) noexcept {
  put16(bytes, at, static_cast<std::uint16_t>(value >> 16));
  put16(bytes, at + 2, static_cast<std::uint16_t>(value));
}

Frame frame_of(std::span<const std::uint8_t> bytes) noexcept { return std::as_bytes(bytes); }

// Of the addresses in the IP header, TCP, and a segment of `size` bytes.
std::uint32_t pseudo_sum(View ip, bool v6, std::size_t size) noexcept {
  const View addresses = v6 ? ip.subspan(8, 32) : ip.subspan(12, 8);
  return sum_words(addresses, protocol::tcp + static_cast<std::uint32_t>(size));
}

void set_ip_length(std::span<std::uint8_t> ip, bool v6, std::size_t header, std::size_t payload) noexcept {
  if (v6) return put16(ip, 4, static_cast<std::uint16_t>(header - ipv6_header + payload));
  put16(ip, 2, static_cast<std::uint16_t>(header + payload));
  put16(ip, 10, 0);
  put16(ip, 10, checksum(ip.first(header)));
}

// Where the IP header begins: after the tags of VLANs, if there are any.
std::size_t find_ip(View packet) noexcept {
  std::size_t at = mac_header;
  while (at + 4 <= packet.size() &&
         (get16(packet, at - 2) == ethertype::vlan || get16(packet, at - 2) == ethertype::qinq))
    at += 4;
  return at;
}

// A field that holds the pseudo header's sum gets the checksum. UDP means by 0 that there is none, and to TCP both are
// the same.
bool complete_checksum(const Offload& how, std::span<std::uint8_t> packet) noexcept {
  const std::size_t at = std::size_t{how.checksum_start} + how.checksum_offset;
  if (at + 2 > packet.size()) return false;
  const std::uint16_t sum = checksum(packet.subspan(how.checksum_start));
  put16(packet, at, sum == 0 ? std::uint16_t{0xffff} : sum);
  return true;
}

// A segment that is too long for the wire, as the kernel hands it over.
struct LongSegment {
  std::size_t ip = 0, tcp = 0, payload = 0;  // where they begin
  bool v6 = false;

  bool read(const Offload& how, View packet) noexcept {
    v6 = how.segments == Offload::tcp_v6;
    ip = find_ip(packet);
    tcp = how.checksum_start;
    if (!v6 && how.segments != Offload::tcp_v4) return false;
    if (tcp < ip + (v6 ? ipv6_header : ipv4_header) || tcp + tcp_header > packet.size()) return false;
    payload = tcp + (packet[tcp + length_at] >> 4) * std::size_t{4};
    return payload >= tcp + tcp_header && payload <= packet.size();
  }

  // Makes the headers of a copy those of its `i`th part of `count`, which are `part` bytes long but for the last.
  void adapt(std::span<std::uint8_t> segment, std::size_t i, std::size_t count, std::size_t part) const noexcept {
    if (!v6) put16(segment, ip + 4, static_cast<std::uint16_t>(get16(segment, ip + 4) + i));
    set_ip_length(segment.subspan(ip), v6, tcp - ip, segment.size() - tcp);
    put32(segment, tcp + sequence_at, static_cast<std::uint32_t>(get32(segment, tcp + sequence_at) + i * part));
    std::uint8_t& flags = segment[tcp + flags_at];
    if (i != 0) flags &= static_cast<std::uint8_t>(~cwr);
    if (i + 1 != count) flags &= static_cast<std::uint8_t>(~(fin | psh));
    put16(segment, tcp + sum_at, 0);
    const View bytes = segment.subspan(tcp);
    put16(segment, tcp + sum_at, checksum(bytes, pseudo_sum(segment.subspan(ip), v6, bytes.size())));
  }
};

}  // namespace

std::size_t cut(const Offload& how, std::span<std::uint8_t> packet, std::span<std::uint8_t> room,
                std::vector<Frame>& frames) {
  if (how.segments == Offload::none) {
    if ((how.flags & Offload::needs_checksum) != 0 && !complete_checksum(how, packet)) return 0;
    frames.push_back(frame_of(packet));
    return 0;
  }
  LongSegment whole;
  const std::size_t part = how.segment_size;
  if (!whole.read(how, packet) || part == 0) return 0;
  const std::size_t header = whole.payload, payload = packet.size() - header;
  const std::size_t count = (payload + part - 1) / part;
  if (payload + count * header > room.size()) return 0;
  std::size_t used = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = std::min(part, payload - i * part);
    const auto segment = room.subspan(used, header + size);
    std::memcpy(segment.data(), packet.data(), header);
    std::memcpy(segment.data() + header, packet.data() + header + i * part, size);
    whole.adapt(segment, i, count, part);
    frames.push_back(frame_of(segment));
    used += segment.size();
  }
  return used;
}

// Only what is exactly a segment of an ordinary stream: no fragments, no IP options or extensions, no padding, no other
// flags than ACK and PSH, and right checksums, since the kernel does not check them again.
bool Joiner::Header::read(const Frame& frame) {
  constexpr std::size_t least = mac_header + ipv4_header + tcp_header;
  if (frame.size() <= least) return false;
  std::memcpy(bytes.data(), frame.data(), std::min(frame.size(), bytes.size()));
  const View view(bytes);
  const View ip = view.subspan(mac_header);
  const std::size_t length = frame.size() - mac_header;
  const std::uint16_t type = get16(view, mac_header - 2);
  if (type == ethertype::ipv4) {
    if (ip[0] != 0x45 || ip[9] != protocol::tcp || get16(ip, 2) != length || (get16(ip, 6) & 0xbfffu) != 0 ||
        checksum(ip.first(ipv4_header)) != 0)
      return false;
    tcp = mac_header + ipv4_header;
  } else if (type == ethertype::ipv6) {
    if (ip[0] >> 4 != 6 || ip[6] != protocol::tcp || get16(ip, 4) + ipv6_header != length) return false;
    tcp = mac_header + ipv6_header;
  } else {
    return false;
  }
  if (frame.size() <= tcp + tcp_header) return false;
  size = tcp + (view[tcp + length_at] >> 4) * std::size_t{4};
  if (size < tcp + tcp_header || size >= frame.size()) return false;
  payload = frame.size() - size;
  if ((flags() & ~psh) != ack) return false;
  const View rest{reinterpret_cast<const std::uint8_t*>(frame.data()) + size, payload};
  const std::uint32_t sum = sum_words(view.subspan(tcp, size - tcp), pseudo_sum(ip, v6(), frame.size() - tcp));
  return checksum(rest, sum) == 0;
}

std::uint32_t Joiner::Header::sequence() const noexcept { return get32(bytes, tcp + sequence_at); }

bool Joiner::follows(const Header& next) const {
  if (!open_ || next.size != first_.size || next.tcp != first_.tcp || next.payload > first_.payload ||
      frames_.size() == most_frames || first_.size - mac_header + total_ + next.payload > longest_ip_packet)
    return false;
  const auto same = [&](std::size_t from, std::size_t to) {
    return std::equal(first_.bytes.begin() + static_cast<std::ptrdiff_t>(from),
                      first_.bytes.begin() + static_cast<std::ptrdiff_t>(to),
                      next.bytes.begin() + static_cast<std::ptrdiff_t>(from));
  };
  const std::size_t ip = mac_header, tcp = first_.tcp;
  const bool same_ip = first_.v6() ? same(0, ip + 4) && same(ip + 6, tcp)
                                   : same(0, ip + 2) && same(ip + 6, ip + 10) && same(ip + 12, tcp);
  if (!same_ip) return false;
  // What may be fragmented has numbers, and the kernel would count them on.
  const auto id = static_cast<std::uint16_t>(get16(first_.bytes, ip + 4) + frames_.size());
  const bool may_fragment = !first_.v6() && (first_.bytes[ip + 6] & 0x40) == 0;
  if (may_fragment && get16(next.bytes, ip + 4) != id) return false;
  return same(tcp, tcp + sequence_at) && next.sequence() == static_cast<std::uint32_t>(first_.sequence() + total_) &&
         same(tcp + acknowledged_at, tcp + flags_at) && same(tcp + window_at, tcp + sum_at) &&
         same(tcp + urgent_at, first_.size);
}

bool Joiner::add(const Frame& frame) {
  Header header;
  if (!header.read(frame)) return false;
  if (frames_.empty()) {
    first_ = header;
    total_ = 0;
  } else if (!follows(header)) {
    return false;
  }
  total_ += header.payload;
  push_ = (header.flags() & psh) != 0;
  open_ = !push_ && header.payload == first_.payload;
  frames_.push_back(frame);
  return true;
}

std::span<const iovec> Joiner::packet() {
  how_ = {};
  parts_.assign(1, {&how_, sizeof how_});
  if (frames_.size() == 1) {  // as it came
    parts_.push_back({const_cast<std::byte*>(frames_[0].data()), frames_[0].size()});
    return parts_;
  }
  const bool v6 = first_.v6();
  const std::span<std::uint8_t> header(first_.bytes.data(), first_.size);
  const std::size_t tcp = first_.tcp, length = first_.size - tcp + total_;
  set_ip_length(header.subspan(mac_header), v6, tcp - mac_header, length);
  if (push_) header[tcp + flags_at] |= psh;
  // The kernel completes the checksum where it must; until then the field has the pseudo header's sum.
  put16(header, tcp + sum_at,
        static_cast<std::uint16_t>(~checksum({}, pseudo_sum(header.subspan(mac_header), v6, length))));
  how_.flags = Offload::needs_checksum;
  how_.segments = v6 ? Offload::tcp_v6 : Offload::tcp_v4;
  how_.header_size = static_cast<std::uint16_t>(first_.size);
  how_.segment_size = static_cast<std::uint16_t>(first_.payload);
  how_.checksum_start = static_cast<std::uint16_t>(tcp);
  how_.checksum_offset = sum_at;
  parts_.push_back({header.data(), header.size()});
  for (const Frame& frame : frames_)
    parts_.push_back({const_cast<std::byte*>(frame.data()) + first_.size, frame.size() - first_.size});
  return parts_;
}

}  // namespace memif::tool
