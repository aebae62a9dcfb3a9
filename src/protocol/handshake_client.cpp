// The client's side of the handshake. docs/protocol.md, "Handshake".
#include <algorithm>

#include <memif/detail/wire.hpp>

#include "protocol/handshake.hpp"

namespace memif::handshake {
namespace {

using namespace message;

// HELLO offers the highest index; the sum is made in 32 bits since that may be 65535.
std::uint16_t agree(std::uint16_t wanted, std::uint16_t highest_index) {
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(wanted, highest_index + 1U));
}

Status check(const Hello& hello) {
  if (hello.min_version > wire::version || hello.max_version < wire::version) {
    return refusal(Errc::unsupported_version, "the server speaks versions ", version_text(hello.min_version), " to ",
                   version_text(hello.max_version), ", this client ", version_text(wire::version));
  }
  if (hello.max_log2_ring_size < wire::min_log2_ring_size) {
    return refusal(Errc::malformed_message, "HELLO allows a log2 ring size of at most ", hello.max_log2_ring_size,
                   ", the least there is is ", wire::min_log2_ring_size);
  }
  return Nothing{};
}

}  // namespace

Client::Client(ClientOptions options)
    : Endpoint(options.timeout, "waiting for HELLO", Leave::when_greeted), options_(std::move(options)) {}

Client::Actions Client::start(Clock::time_point now) {
  if (done()) return {};
  return {arm(now)};
}

template <class Message>
Client::Actions Client::in(State state, const Message& message, std::size_t fd_count,
                           Actions (Client::*take)(const Message&)) {
  if (state_ != state) return refuse_unexpected(message);
  if (fd_count != 0) return refuse(refusal(Errc::unexpected_fd, name(message), " with a file descriptor"));
  return (this->*take)(message);
}

Client::Actions Client::on_message(const Message& message, std::size_t fd_count, Clock::time_point) {
  if (done()) return {};
  greeted();
  return take_case(
      Cases{
          [&](const Hello& hello) { return in(State::hello, hello, fd_count, &Client::on_hello); },
          [&](const Ack& ack) { return in(State::announcing, ack, fd_count, &Client::on_ack); },
          [&](const Connected& connected) { return in(State::connecting, connected, fd_count, &Client::on_connected); },
          [&](const Disconnect& disconnect) {
            count_taken_rings();
            return on_disconnect(disconnect);
          },
          [&](const Init& init) { return refuse_unexpected(init); },
          [&](const AddRegion& region) { return refuse_unexpected(region); },
          [&](const AddRing& ring) { return refuse_unexpected(ring); },
          [&](const Connect& connect) { return refuse_unexpected(connect); },
      },
      message);
}

Client::Actions Client::on_ack(const Ack&) {
  acknowledged();
  return announce_next();
}

// Up comes last: what the application does when the link is up may end it.
Client::Actions Client::on_connected(const Connected& connected) {
  state_ = State::up;
  set_up();
  return {Deadline{}, Up{connected.interface_name}};
}

Client::Actions Client::on_hello(const Hello& hello) {
  if (const Status usable = check(hello); !usable) return refuse(usable.error());
  region_limit_ = hello.max_region + 1U;
  limit_ = {agree(options_.rings.s2m, hello.max_s2m_ring), agree(options_.rings.m2s, hello.max_m2s_ring)};
  state_ = State::allocating;
  doing("allocating memory");
  return {Allocate{limit_.s2m, limit_.m2s, std::min(options_.log2_ring_size, hello.max_log2_ring_size), hello.name}};
}

Client::Actions Client::allocated(std::vector<std::uint64_t> region_sizes, std::vector<RingSpec> rings,
                                  Clock::time_point) {
  if (done() || state_ != State::allocating) return {};
  if (region_sizes.size() > region_limit_) {
    return refuse(refusal(Errc::too_many_regions, "this client needs ", region_sizes.size(),
                          " regions, the server accepts ", region_limit_));
  }
  for (const RingSpec& ring : rings) {
    const unsigned most = ring.s2m ? limit_.s2m : limit_.m2s;
    if (ring.index >= most) {
      return refuse(refusal(Errc::too_many_rings, ring.s2m ? "S2M" : "M2S", " ring ", ring.index, ": at most ", most,
                            " agreed on"));
    }
  }
  region_sizes_ = std::move(region_sizes);
  rings_ = std::move(rings);
  state_ = State::announcing;
  doing("waiting for ACK of INIT");
  introduced();
  return {Send{Init{.version = wire::version,
                    .id = options_.id,
                    .mode = options_.mode,
                    .secret = to_secret(options_.secret),
                    .name = options_.app_name}},
          TakeGreeting{}};
}

// One message at a time: each ACK is for the last one sent.
Client::Actions Client::announce_next() {
  const std::size_t n = announced_++;
  // libmemif's server acknowledges an INIT for an id that it does not have, then closes. docs/protocol.md, "Peers".
  hint_on_close(n == 0 ? " (is there an interface of id " + std::to_string(options_.id) + "?)" : "");
  if (n < region_sizes_.size()) {
    const auto index = static_cast<std::uint16_t>(n);
    doing("waiting for ACK of region " + std::to_string(index));
    return {Send{AddRegion{index, region_sizes_[n]}, {FdKind::region, index}}};
  }
  if (n - region_sizes_.size() < rings_.size()) {
    const RingSpec& ring = rings_[n - region_sizes_.size()];
    const FdKind kind = ring.s2m ? FdKind::s2m_ring : FdKind::m2s_ring;
    doing((ring.s2m ? "waiting for ACK of S2M ring " : "waiting for ACK of M2S ring ") + std::to_string(ring.index));
    return {Send{AddRing{ring.s2m, ring.index, ring.region, ring.offset, ring.log2_size, 0}, {kind, ring.index}}};
  }
  state_ = State::connecting;
  doing("waiting for CONNECTED");
  return {Send{Connect{options_.interface_name}}};
}

// Servers take rings in order, and refuse the first that is one too many.
void Client::count_taken_rings() {
  if (state_ != State::announcing || announced_ <= region_sizes_.size()) return;
  const RingSpec& refused = rings_[announced_ - region_sizes_.size() - 1];
  if (refused.index == 0) return;
  fewer_ = limit_;
  (refused.s2m ? fewer_->s2m : fewer_->m2s) = refused.index;
}

}  // namespace memif::handshake
