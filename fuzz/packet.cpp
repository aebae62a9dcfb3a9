// Packets from the peer: described, answered, sent back and rewritten. Checked values hold what they promise, answers
// fit, and rewritten packets have checksums as right or as wrong as before. What a bridge joins comes apart again.
#include "perf/packet.hpp"

#include <algorithm>
#include <vector>

#include "bridge/offload.hpp"
#include "capture/describe.hpp"
#include "input.hpp"
#include "net/reassembly.hpp"
#include "net/responder.hpp"
#include "perf/neighbor.hpp"
#include "replay/rewrite.hpp"

namespace {

using namespace memif;
using namespace memif::tool;
using fuzz::require;

// What memif perf looks at, and answers, of packets that are not its own.
void check_perf(View head, std::size_t total, Mode mode) {
  if (const auto at = find_mark(head, mode)) require(*at >= 28, "a mark lies behind headers");
  const auto hosts = [](const char* addresses) {
    return PerfHosts{parse_mac_range("02:00:00:00:00:01"), parse_address_range(addresses), parse_port_range("9")};
  };
  static const PerfNeighbor neighbors[] = {{Mode::ethernet, hosts("10.0.0.0/24"), {}},
                                           {Mode::ethernet, hosts("fd00::/120"), {}},
                                           {Mode::ethernet, hosts("10.0.0.0/24"), {100, 7}}};
  for (const PerfNeighbor& neighbor : neighbors) {
    const auto answer = neighbor.answer(head, total);
    require(!answer || (mode == Mode::ip || answer->size() >= ethernet_header), "an answer is a frame");
    neighbor.answer_of(head, parse_address("10.0.0.1"));
    neighbor.answer_of(head, parse_address("fd00::1"));
  }
}

bool within(View inner, View outer) {
  return inner.empty() || (inner.data() >= outer.data() && inner.data() + inner.size() <= outer.data() + outer.size());
}

bool printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\t'; });
}

void check_parsed(View packet, std::size_t total) {
  const auto ip = parse_ip(packet, total);
  if (!ip) return;
  require(within(ip->payload, packet), "a payload lies in its packet");
  require(ip->header_size + ip->payload_size <= total, "a packet is no longer than it is");
  require(ip->payload.size() <= ip->payload_size, "a view holds no more than there is");
  if (const auto message = parse_icmp(*ip)) require(within(message->body, packet), "a body lies in its packet");
  if (const auto neighbor = parse_neighbor(*ip)) require(neighbor->target.v6(), "neighbours have IPv6 addresses");
  parse_ports(*ip);
}

void check_answer(const Answer& answer, std::size_t size) {
  require(answer.rewritten <= answer.head.size(), "an answer's head fits");
  require(answer.rewritten <= answer.size, "an answer's head is part of it");
  if (answer.counts()) require(answer.size == size, "an echo is as long as what it answers");
}

Bytes rewritten(View packet, Mode mode, const Rewrite& rewrite) {
  Bytes copy(packet.begin(), packet.end());
  rewrite.apply(copy, mode);
  return copy;
}

void check_fragment(View packet) {
  const auto fragment = parse_fragment(packet);
  if (!fragment) return;
  require(within(fragment->payload, packet), "a fragment's payload lies in its packet");
  require(!fragment->payload.empty(), "a fragment is not empty");
  require(fragment->offset + fragment->payload.size() <= longest_payload_v6, "a fragment lies in a datagram");
  require(!fragment->more || fragment->payload.size() % 8 == 0, "what follows a fragment begins at a multiple of 8");
}

// Fragments of few datagrams, of any order, with any holes and overlaps. Each byte has a value that its place in the
// datagram says, so that whatever comes out is what went in.
void check_reassembly(View bytes) {
  constexpr ReassemblyLimits limits{.datagrams = 3, .bytes = 100'000, .parts = 20, .age = std::chrono::seconds(30)};
  Reassembler reassembler(limits);
  Reassembler::Time now{};
  Bytes payload;
  for (fuzz::Input input(bytes.data(), bytes.size()); !input.empty();) {
    const std::uint8_t shape = input.byte();
    const bool v6 = (shape & 1) != 0, more = (shape & 2) != 0;
    const IpAddress address = v6 ? parse_address("fd00::1") : parse_address("10.0.0.1");
    const std::size_t longest = v6 ? longest_payload_v6 : longest_payload_v4;
    const std::size_t offset = input.number<std::uint16_t>() & ((shape & 4) != 0 ? 0xfff8u : 0x78u);
    std::size_t size = input.byte() + std::size_t{1};
    if (more) size = (size + 7) / 8 * 8;
    if (offset + size > longest) continue;
    payload.resize(size);
    for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<std::uint8_t>((offset + i) * 7);
    now += std::chrono::seconds(shape >> 6);
    const auto whole =
        reassembler.add({}, {address, address, protocol::udp, 64, shape >> 3 & 3u, offset, more, payload}, now);
    require(reassembler.incomplete() <= limits.datagrams, "no more datagrams are kept than may be");
    require(reassembler.bytes() <= limits.bytes, "no more bytes are kept than may be");
    if (!whole) continue;
    const auto ip = parse_ip(*whole, whole->size());
    require(ip && !ip->fragment && ip->payload.size() == ip->payload_size, "a datagram is whole");
    for (std::size_t i = 0; i < ip->payload.size(); ++i)
      require(ip->payload[i] == static_cast<std::uint8_t>(i * 7), "each byte is where it was");
  }
}

// Rewriting in IP mode leaves a right header checksum right, and a wrong one wrong.
void check_rewriting(View packet) {
  static const Rewrite rewrite{
      .source = Mac{2, 2, 2, 2, 2, 2},
      .destination = {},
      .addresses = {parse_address_map("10.0.0.0/8=192.0.0.0/8"), parse_address_map("fd00::/9=fe80::/9"),
                    parse_address_map("0.0.0.0/3=224.0.0.0/3"), parse_address_map("::/1=8000::/1")}};
  require(rewritten(packet, Mode::ethernet, rewrite).size() == packet.size(), "a packet keeps its length");
  const Bytes after = rewritten(packet, Mode::ip, rewrite);
  if (packet.size() < 20 || packet[0] >> 4 != 4) return;
  const std::size_t header = (packet[0] & std::size_t{0x0f}) * 4;
  if (header < 20 || header > packet.size()) return;
  const bool right = checksum(packet.first(header)) == 0;
  require(right == (checksum(View(after).first(header)) == 0), "a header's checksum stays as right as it was");
}

// A segment joined with its double (a sequence that does not follow) stays alone; what is joined has its length.
void check_joining(View packet) {
  const Frame frame = std::as_bytes(packet);
  Joiner joiner;
  if (!joiner.add(frame)) return;
  require(!joiner.add(frame), "a segment does not follow itself");
  std::size_t written = 0;
  for (const iovec& part : joiner.packet()) written += part.iov_len;
  require(written == sizeof(Offload) + packet.size(), "a segment alone goes as it came");
}

// A kernel's word for where things are in a packet: whatever it says, frames are of this packet's bytes.
void check_cutting(View packet, std::uint8_t shape) {
  fuzz::Input input(packet.data(), packet.size());
  Offload how{Offload::needs_checksum,       static_cast<std::uint8_t>(shape % 5), 0,
              input.number<std::uint16_t>(), input.number<std::uint16_t>(),        input.number<std::uint16_t>()};
  Bytes copy(input.rest().begin(), input.rest().end());
  static Bytes room(segments_room);
  std::vector<Frame> frames;
  const std::size_t used = cut(how, copy, room, frames);
  require(used <= room.size(), "segments fit");
  for (const Frame& frame : frames) require(frame.size() <= packet.size(), "a segment is no longer than the packet");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t shape = input.byte();
  const std::size_t beyond = shape % 4 == 3 ? input.number<std::uint16_t>() : 0;
  const View packet = input.rest();
  const std::size_t total = packet.size() + beyond;
  const Mode mode = shape % 8 < 4 ? Mode::ethernet : Mode::ip;

  check_parsed(packet, total);
  if (packet.size() > 14) check_parsed(packet.subspan(14), total - 14);
  if (shape >= 0xf0)
    require(printable(hex_dump(packet.first(std::min<std::size_t>(packet.size(), 40)), true)), "dumps are printable");

  static const Responder responders[] = {
      {Mode::ethernet, Mac{2, 0, 0, 0, 0, 1}, {parse_address("10.0.0.1"), parse_address("fd00::1")}},
      {Mode::ip, Mac{2, 0, 0, 0, 0, 1}, {parse_address("10.0.0.1"), parse_address("fd00::1")}}};
  const View head = packet.first(std::min(packet.size(), head_size));
  if (const auto answer = responders[mode == Mode::ip].answer(head, total)) check_answer(*answer, total);
  check_answer(reflect(head, total, mode, shape % 16 < 8 ? Reflect::macs : Reflect::addresses), total);
  check_perf(head, total, mode);
  check_fragment(packet);
  check_reassembly(packet);
  check_rewriting(packet);
  check_joining(packet);
  check_cutting(packet, shape);
  return 0;
}
