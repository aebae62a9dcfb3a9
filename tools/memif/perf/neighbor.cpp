#include "perf/neighbor.hpp"

#include "net/neighbor.hpp"

namespace memif::tool {
namespace {

Responder::MacOf mac_of(const PerfHosts& hosts) {
  return [hosts](const IpAddress& address) {
    return mac_at(hosts.macs, index_of(address, hosts.addresses) % hosts.macs.count);
  };
}

}  // namespace

PerfNeighbor::PerfNeighbor(Mode mode, const PerfHosts& hosts, std::vector<std::uint16_t> vlans)
    : mode_(mode),
      first_address_(address_at(hosts.addresses, 0)),
      first_mac_(mac_at(hosts.macs, 0)),
      vlans_(std::move(vlans)),
      responder_(mode, mac_of(hosts), {addresses(hosts.addresses)}) {}

// Long pings, of which not all is in the head, get no answer.
std::optional<Bytes> PerfNeighbor::answer(View head, std::size_t size) const {
  if (mode_ != Mode::ethernet || head.size() < size) return std::nullopt;
  const auto bare = without_vlans(head, vlans_);
  const auto answer = bare && bare->size() <= head_size ? responder_.answer(*bare, bare->size()) : std::nullopt;
  if (!answer) return std::nullopt;
  Bytes frame(answer->head.begin(), answer->head.begin() + static_cast<std::ptrdiff_t>(answer->rewritten));
  insert_vlans(frame, vlans_);
  return frame;
}

Bytes PerfNeighbor::ask_for(const IpAddress& target) const {
  Bytes question = tool::ask_for(target, first_mac_, first_address_);
  insert_vlans(question, vlans_);
  return question;
}

std::optional<Mac> PerfNeighbor::answer_of(View frame, const IpAddress& target) const {
  const auto bare = without_vlans(frame, vlans_);
  return bare ? tool::answer_of(*bare, target) : std::nullopt;
}

}  // namespace memif::tool
