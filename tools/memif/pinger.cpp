#include "pinger.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

#include "command.hpp"
#include "output.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t sequence_numbers = 65536;
constexpr int resolve_attempts = 3;  // where the number of requests is limited
constexpr auto retry_period = 1ms;   // while the peer has no room

}  // namespace

void fill_pattern(Bytes& data, std::size_t size, std::uint64_t number) {
  data.resize(size);
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::uint8_t>(number * 131 + i);
}

Pinger::Pinger(Session& session, Port& port, const PingPlan& plan, ReplyHandler on_reply)
    : session_(session),
      port_(port),
      plan_(plan),
      on_reply_(std::move(on_reply)),
      responder_(port.config().mode, plan.mac, {plan.source}),
      id_(static_cast<std::uint16_t>(::getpid())),
      sent_(sequence_numbers),
      packet_(max_packet) {}

Pinger::End Pinger::run() {
  while (!session_.stopped()) {
    if (const auto end = establish()) return *end;
    const auto now = Clock::now();
    if (!all_sent() && now >= next_send()) try_send(now);
    const bool waits_for_last = all_sent() && totals_.received < totals_.sent;
    if (all_sent() && (!waits_for_last || now >= last_sent_ + plan_.timeout)) return End::finished;
    session_.wait(waits_for_last ? last_sent_ + plan_.timeout : next_send());
    receive();
  }
  return End::stopped;
}

// A link, and the target's MAC address on it.
std::optional<Pinger::End> Pinger::establish() {
  if (!port_.up() && links_ != 0) {
    if (!port_.options().reconnect) return End::link_lost;
    notice(fmt::format("the link is down: {}; waiting for the peer", port_.why_down()));
  }
  if (!session_.await_link(port_)) return End::stopped;
  if (links_ == port_.links()) return std::nullopt;
  links_ = port_.links();
  target_mac_.reset();
  const auto end = resolve();
  due_ = Clock::now();
  return end;
}

std::optional<Pinger::End> Pinger::resolve() {
  if (port_.config().mode != Mode::ethernet) return std::nullopt;
  const auto period = std::min<std::chrono::nanoseconds>(plan_.timeout, 1s);
  for (int attempts = 0; plan_.count == 0 || attempts < resolve_attempts;) {
    const bool asked = ask();
    if (asked) ++attempts;  // a peer that takes no packets yet has not been asked
    const auto until = Clock::now() + (asked ? period : retry_period);
    while (Clock::now() < until) {
      session_.wait(until);
      receive();
      if (session_.stopped()) return End::stopped;
      if (target_mac_ || !port_.up()) return std::nullopt;
    }
    if (asked && attempts == resolve_attempts && plan_.count == 0)
      notice(fmt::format("{} does not answer yet; still asking", to_string(plan_.target)));
  }
  return End::unresolved;
}

// Asks who has the target: ARP, or a neighbour solicitation.
bool Pinger::ask() {
  frame_.clear();
  if (plan_.target.v6()) {
    const IpAddress group = plan_.target.solicited_node();
    append_ethernet(frame_, group.multicast_mac(), plan_.mac, ethertype::ipv6);
    append_neighbor(frame_, plan_.source, group, {true, plan_.target, plan_.mac});
  } else {
    append_ethernet(frame_, broadcast_mac, plan_.mac, ethertype::arp);
    append_arp(frame_, {Arp::request, plan_.mac, plan_.source, Mac{}, plan_.target});
  }
  return transmit(frame_);
}

Clock::time_point Pinger::next_send() const noexcept {
  if (stuck_since_ || plan_.interval != 0ns || totals_.sent == 0) return due_;
  return last_answered_ ? last_sent_ : last_sent_ + plan_.timeout;
}

// Sends the next request. A ring without room is normal for a while: the request waits, and is lost only when it has
// waited as long as an answer may take.
void Pinger::try_send(Clock::time_point now) {
  const std::uint64_t number = totals_.sent + 1;
  const auto sequence = static_cast<std::uint16_t>(number);
  frame_.clear();
  if (target_mac_)
    append_ethernet(frame_, *target_mac_, plan_.mac, plan_.source.v6() ? ethertype::ipv6 : ethertype::ipv4);
  fill_pattern(pattern_, plan_.size, number);
  append_echo(frame_, plan_.source, plan_.target, {true, id_, sequence}, pattern_);

  const auto when = Clock::now();
  if (!transmit(frame_)) {
    if (!stuck_since_) stuck_since_ = now;
    due_ = now + retry_period;
    if (now < *stuck_since_ + plan_.timeout) return;
  }
  stuck_since_.reset();
  sent_[sequence] = {when, number, false};
  totals_.sent = number;
  last_sent_ = when;
  last_answered_ = false;
  due_ = std::max(due_ + plan_.interval, now);
}

bool Pinger::send(View packet) {
  TxBurst out = port_.tx().begin(sent_buffers_);
  if (!out.add(static_cast<std::uint32_t>(packet.size()))) return false;
  out.back().copy_from(std::as_bytes(packet));
  return out.send() == 1;
}

// False: the peer has no room now. Throws Failure where it never has.
bool Pinger::transmit(View packet) {
  TxQueue& tx = port_.tx();
  const bool all_free = tx.room() == tx.ring_size() && tx.up();  // before: the peer makes room all the time
  if (send(packet)) return true;
  if (all_free)
    throw Failure(exit_failed, fmt::format("a packet of {} bytes does not fit into the whole ring of {} buffers "
                                           "(a client's --ring-size and --buffer-size say how much does)",
                                           packet.size(), tx.ring_size()));
  return false;
}

void Pinger::receive() {
  for (std::size_t queue = 0; port_.up() && queue < port_.queues(); ++queue) {
    RxBurst burst = port_.rx(queue).receive(buffers_);
    const auto when = Clock::now();
    for (const Packet packet : burst) handle(copy_head(packet, packet_), when);
  }
}

void Pinger::handle(View packet, Clock::time_point when) {
  if (learn(packet)) return;
  const std::size_t link_header = port_.config().mode == Mode::ethernet ? 14 : 0;
  if (packet.size() > link_header) {
    const View inner = packet.subspan(link_header);
    const auto ip = parse_ip(inner, inner.size());
    const auto message = ip ? parse_icmp(*ip) : std::nullopt;
    const std::uint8_t reply = plan_.source.v6() ? icmp::v6_echo_reply : icmp::echo_reply;
    if (message && message->type == reply && ip->source == plan_.target && ip->destination == plan_.source &&
        message->id == id_)
      return account(*ip, *message, when);
  }
  answer(packet);
}

// Whether the packet tells the target's MAC address.
bool Pinger::learn(View packet) {
  if (port_.config().mode != Mode::ethernet) return false;
  const auto frame = parse_ethernet(packet);
  if (!frame) return false;
  if (frame->type == ethertype::arp) {
    const auto arp = parse_arp(frame->payload);
    if (!arp || arp->operation != Arp::reply || arp->sender != plan_.target) return false;
    target_mac_ = arp->sender_mac;
    return true;
  }
  const auto ip = frame->type == ethertype::ipv6 ? parse_ip(frame->payload, frame->payload.size()) : std::nullopt;
  const auto neighbor = ip ? parse_neighbor(*ip) : std::nullopt;
  if (!neighbor || neighbor->solicitation || neighbor->target != plan_.target) return false;
  target_mac_ = neighbor->link_address.value_or(frame->source);
  return true;
}

void Pinger::account(const Ip& ip, const Icmp& reply, Clock::time_point when) {
  Sent& request = sent_[reply.sequence];
  if (request.number == 0) {
    ++totals_.corrupted;  // nothing of that number was sent
    return;
  }
  fill_pattern(pattern_, plan_.size, request.number);
  if (!std::equal(reply.body.begin(), reply.body.end(), pattern_.begin(), pattern_.end())) {
    ++totals_.corrupted;
    return;
  }
  if (request.answered) {
    ++totals_.duplicates;
    return;
  }
  request.answered = true;
  ++totals_.received;
  if (!icmp_checksum_right(ip)) ++totals_.wrong_checksums;  // libmemif's own examples leave it out
  last_answered_ = last_answered_ || request.number == totals_.sent;
  totals_.latency.add(when - request.when);
  on_reply_(request.number, ip.payload_size, when - request.when);
}

void Pinger::answer(View packet) {
  const auto answer = responder_.answer(packet.first(std::min(packet.size(), head_size)), packet.size());
  if (!answer) return;
  frame_.assign(answer->head.begin(), answer->head.begin() + static_cast<std::ptrdiff_t>(answer->rewritten));
  if (answer->size > answer->rewritten)
    frame_.insert(frame_.end(), packet.begin() + static_cast<std::ptrdiff_t>(answer->rewritten), packet.end());
  send(frame_);  // a peer that has no room for it goes without
}

}  // namespace memif::tool
