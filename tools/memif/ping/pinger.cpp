#include "ping/pinger.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

#include "common/command.hpp"
#include "common/output.hpp"
#include "net/neighbor.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t sequence_numbers = 65536;
constexpr int resolve_attempts = 3;  // before a request is given up
constexpr auto retry_period = 1ms;   // while the peer has no room

}  // namespace

bool on_link(const PingPlan& plan) noexcept {
  const auto source = plan.source.address.bytes(), target = plan.target.bytes();
  unsigned left = plan.source.length;
  if (left == source.size() * 8) return true;  // what an address without a network says
  if (target.front() == 0xfe && (target[1] & 0xc0) == 0x80 && plan.target.v6()) return true;  // fe80::/10
  for (std::size_t i = 0; left != 0; ++i) {
    const unsigned bits = std::min(left, 8u);
    if (((source[i] ^ target[i]) >> (8 - bits)) != 0) return false;
    left -= bits;
  }
  return true;
}

void fill_pattern(Bytes& data, std::size_t size, std::uint64_t number) {
  data.resize(size);
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::uint8_t>(number * 131 + i);
}

Pinger::Pinger(Session& session, Port& port, const PingPlan& plan, ReplyHandler on_reply)
    : session_(session),
      port_(port),
      plan_(plan),
      on_reply_(std::move(on_reply)),
      responder_(port.config().mode, plan.mac, {plan.source.address}),
      id_(static_cast<std::uint16_t>(::getpid())),
      sent_(sequence_numbers),
      packet_(max_packet) {}

Pinger::End Pinger::run() {
  while (!session_.stopped()) {
    if (const auto end = establish()) return *end;
    const auto now = Clock::now();
    resolve(now);
    if (!all_sent() && now >= next_send()) try_send(now);
    const bool waits_for_last = all_sent() && totals_.received < totals_.sent - totals_.not_sent;
    if (all_sent() && (!waits_for_last || now >= last_sent_ + plan_.timeout)) return End::finished;
    const auto until = waits_for_last ? last_sent_ + plan_.timeout : next_send();
    session_.wait(resolved() ? until : std::min(until, ask_));
    receive();
  }
  return End::stopped;
}

// A link. Who has the target on it is not known yet.
std::optional<Pinger::End> Pinger::establish() {
  if (!port_.up() && links_ != 0) {
    if (!port_.options().reconnect) return End::link_lost;
    notice(fmt::format("the link is down: {}; waiting for the peer", port_.why_down()));
  }
  if (!session_.await_link(port_)) return End::stopped;
  if (links_ == port_.links()) return std::nullopt;
  links_ = port_.links();
  target_mac_.reset();
  asked_ = 0;
  stuck_since_.reset();
  patient_ = true;
  due_ = ask_ = Clock::now();
  return std::nullopt;
}

// Asks for the target's MAC address, again and again until it is known.
void Pinger::resolve(Clock::time_point now) {
  if (resolved() || now < ask_) return;
  const bool asked = ask();
  if (asked) ++asked_;  // a peer that takes no packets yet has not been asked
  ask_ = now + (asked ? ask_period() : retry_period);
}

std::chrono::nanoseconds Pinger::ask_period() const noexcept {
  return std::min<std::chrono::nanoseconds>(plan_.timeout, 1s);
}

// Asks who has the target: ARP, or a neighbour solicitation.
bool Pinger::ask() { return transmit(ask_for(plan_.target, plan_.mac, plan_.source.address)); }

Clock::time_point Pinger::next_send() const noexcept {
  if (stuck_since_ || plan_.interval != 0ns || totals_.sent == 0) return due_;
  return last_answered_ ? last_sent_ : last_sent_ + plan_.timeout;
}

// Sends the next request. A target that is still being asked for and a ring without room are normal for a while: the
// request waits, and is lost only when it has waited long enough. Those after it then wait no more until one leaves.
void Pinger::try_send(Clock::time_point now) {
  const std::uint64_t number = totals_.sent + 1;
  const auto sequence = static_cast<std::uint16_t>(number);
  frame_.clear();
  if (target_mac_)
    append_ethernet(frame_, *target_mac_, plan_.mac, plan_.source.address.v6() ? ethertype::ipv6 : ethertype::ipv4);
  fill_pattern(pattern_, plan_.size, number);
  append_echo(frame_, plan_.source.address, plan_.target, {true, id_, sequence}, pattern_);

  const auto when = Clock::now();
  const bool left = resolved() && transmit(frame_);
  if (!left) {
    if (!stuck_since_) stuck_since_ = now;
    const auto lost_at = patient_ ? *stuck_since_ + patience() : now;
    due_ = resolved() ? now + retry_period : lost_at;
    if (now < lost_at) return;
    ++totals_.not_sent;
    if (std::string why = describe_obstacle(); obstacle_ != why) notice(obstacle_ = std::move(why));
  }
  patient_ = left;
  stuck_since_.reset();
  sent_[sequence] = {when, number, false};
  totals_.sent = number;
  last_sent_ = when;
  last_answered_ = false;
  due_ = std::max(due_ + plan_.interval, now);
}

// How long a request may wait until it can leave.
std::chrono::nanoseconds Pinger::patience() const noexcept {
  return resolved() ? plan_.timeout : resolve_attempts * ask_period();
}

std::string Pinger::describe_obstacle() const {
  const std::string target = to_string(plan_.target);
  if (resolved() || asked_ == 0)
    return port_.config().role == Role::server
               ? "the peer posts no buffers, so nothing can be sent to it"
               : "the peer takes nothing out of its ring, so nothing more can be sent to it";
  std::string text = fmt::format("{} does not answer {}", target, plan_.target.v6() ? "neighbor solicitations" : "ARP");
  if (!on_link(plan_))
    return text + fmt::format(": it is outside {}/{}, and ping knows no gateway", to_string(plan_.source.address),
                              plan_.source.length);
  return text + ": is it an address of the peer?";
}

bool Pinger::send(View packet) {
  TxBurst out = port_.tx().begin(sent_buffers_);
  if (!add_packet(out, packet.size())) return false;
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
  for (std::size_t queue = 0; port_.up() && queue < port_.rx_queues(); ++queue) {
    RxBurst burst = port_.rx(queue).receive(buffers_);
    const auto when = Clock::now();
    for (const Packet packet : burst) handle(copy_head(packet, packet_), when);
  }
}

void Pinger::handle(View packet, Clock::time_point when) {
  if (learn(packet)) return;
  const std::size_t link_header = port_.config().mode == Mode::ethernet ? 14 : 0;
  if (packet.size() <= link_header) return;
  const View inner = packet.subspan(link_header);
  if (!account_reply(inner, when) && !assemble(packet.first(link_header), inner, when)) answer(packet);
}

// Whether the packet is a fragment. What it completes is a reply, or a request of the peer's, but no word of its
// neighbours (RFC 6980).
bool Pinger::assemble(View link_header, View inner, Clock::time_point when) {
  const auto fragment = parse_fragment(inner);
  if (!fragment || !responder_.owns(fragment->destination)) return false;
  if (const auto whole = reassembler_.add(link_header, *fragment, when);
      whole && !account_reply(whole->subspan(link_header.size()), when))
    answer(*whole, true);
  return true;
}

bool Pinger::account_reply(View packet, Clock::time_point when) {
  const auto ip = parse_ip(packet, packet.size());
  const auto message = ip ? parse_icmp(*ip) : std::nullopt;
  const std::uint8_t reply = plan_.source.address.v6() ? icmp::v6_echo_reply : icmp::echo_reply;
  if (!message || message->type != reply || ip->source != plan_.target || ip->destination != plan_.source.address ||
      message->id != id_)
    return false;
  account(*ip, *message, when);
  return true;
}

// Whether the packet tells the target's MAC address.
bool Pinger::learn(View packet) {
  const auto mac = port_.config().mode == Mode::ethernet ? answer_of(packet, plan_.target) : std::nullopt;
  if (mac) found(*mac);
  return mac.has_value();
}

void Pinger::found(const Mac& mac) {
  target_mac_ = mac;
  if (stuck_since_) due_ = Clock::now();  // for this
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

void Pinger::answer(View packet, bool only_echoes) {
  const auto answer = responder_.answer(packet.first(std::min(packet.size(), head_size)), packet.size());
  if (!answer || (only_echoes && !answer->counts())) return;
  frame_.assign(answer->head.begin(), answer->head.begin() + static_cast<std::ptrdiff_t>(answer->rewritten));
  if (answer->size > answer->rewritten)
    frame_.insert(frame_.end(), packet.begin() + static_cast<std::ptrdiff_t>(answer->rewritten), packet.end());
  send(frame_);  // a peer that has no room for it goes without
}

}  // namespace memif::tool
