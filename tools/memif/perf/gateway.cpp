#include "perf/gateway.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "common/command.hpp"
#include "net/packets.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds ask_period = 200ms, gateway_patience = 5s;
constexpr std::size_t most_buffers = 64;

// What has come meanwhile: the answer, or questions of others.
std::optional<Mac> listen(const Port& port, const PerfNeighbor& own, const IpAddress& gateway) {
  std::array<Buffer, most_buffers> buffers;
  std::array<std::uint8_t, head_size> room;
  std::optional<Mac> found;
  for (std::size_t queue = 0; port.up() && queue < port.rx_queues(); ++queue) {
    for (const Packet packet : port.rx(queue).receive(buffers)) {
      const View head = copy_head(packet, room);
      if (const auto mac = own.answer_of(head, gateway)) found = mac;
      if (const auto reply = own.answer(head, packet.size())) send_one(port.tx(queue), *reply);
    }
  }
  return found;
}

[[noreturn]] void give_up(const Port& port, const PerfNeighbor& own, const IpAddress& gateway) {
  throw Failure(exit_failed,
                fmt::format("{} does not answer {} on {}: is it an address of the peer, in the network of {}?",
                            to_string(gateway), gateway.v6() ? "neighbor solicitations" : "ARP",
                            port_name(port.config()), to_string(own.first_address())));
}

}  // namespace

bool send_one(TxQueue& tx, View packet) {
  std::array<Buffer, most_buffers> buffers;
  TxBurst out = tx.begin(buffers);
  if (!add_packet(out, packet.size())) return false;
  out.back().copy_from(std::as_bytes(packet));
  return out.send() == 1;
}

std::optional<Mac> find_gateway(Session& session, const Port& port, const PerfNeighbor& own, const IpAddress& gateway) {
  const Bytes question = own.ask_for(gateway);
  const auto end = Clock::now() + gateway_patience;
  for (auto ask = Clock::now(); port.up() && !session.stopped();) {
    const auto now = Clock::now();
    if (now >= end) give_up(port, own, gateway);
    if (now >= ask) {
      send_one(port.tx(), question);
      ask = now + ask_period;
    }
    session.wait(std::min(ask, end));
    if (const auto mac = listen(port, own, gateway)) return mac;
  }
  return std::nullopt;
}

}  // namespace memif::tool
