// The server's side of the handshake. docs/protocol.md, "Handshake" and "Checks of a good endpoint".
#include <algorithm>

#include <memif/detail/wire.hpp>

#include "protocol/handshake.hpp"

namespace memif::handshake {
namespace {

using namespace message;

// Takes the same time wherever the difference is; volatile keeps the compiler from leaving the loop early.
bool same_secret(const Secret& a, const Secret& b) noexcept {
  volatile unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference = difference | static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

Status check_version(const Init& init) {
  if (init.version == wire::version) return Nothing{};
  return refusal(Errc::unsupported_version, "protocol version ", version_text(init.version), " is not supported, ",
                 version_text(wire::version), " is");
}

// A peer that does not know the secret learns nothing about the interface but that it needs one.
Status check_secret(const Init& init, const ServerPolicy& policy) {
  if (policy.secret.empty()) return Nothing{};
  if (same_secret(init.secret, Secret{})) return refusal(Errc::secret_required, "a secret is required");
  if (!same_secret(init.secret, to_secret(policy.secret))) return refusal(Errc::wrong_secret, "wrong secret");
  return Nothing{};
}

Status check_policy(const Init& init, const ServerPolicy& policy) {
  if (!policy.is_server) return refusal(Errc::role_mismatch, "interface ", init.id, " is a client itself");
  if (Status secret = check_secret(init, policy); !secret) return secret;
  if (policy.connected) return refusal(Errc::already_connected, "interface ", init.id, " already has a peer");
  if (init.mode != policy.mode) {
    return refusal(Errc::mode_mismatch, "mode mismatch: the client is ", to_string(init.mode), ", the server ",
                   to_string(policy.mode));
  }
  return Nothing{};
}

Status check_fds(const Message& message, std::size_t count) {
  const std::size_t wanted = fds_of(message);
  if (count == wanted) return Nothing{};
  if (count == 0) return refusal(Errc::missing_fd, name(message), " without a file descriptor");
  if (wanted == 0) return refusal(Errc::unexpected_fd, name(message), " with a file descriptor");
  return refusal(Errc::unexpected_fd, name(message), " with ", count, " file descriptors");
}

std::uint64_t reach(const AddRegion& region) { return std::min(region.size, wire::region_reach); }

unsigned limit(unsigned highest_index, unsigned count) { return std::min(highest_index + 1, count); }

}  // namespace

Server::Server(ServerIdentity identity, Directory directory)
    : Endpoint(identity.timeout, "waiting for INIT", Leave::told),
      identity_(std::move(identity)),
      directory_(std::move(directory)) {}

Server::Actions Server::start(Clock::time_point now) {
  if (done()) return {};
  Hello hello{.name = identity_.app_name,
              .min_version = wire::version,
              .max_version = wire::version,
              .max_region = identity_.max_region,
              .max_m2s_ring = identity_.max_m2s_ring,
              .max_s2m_ring = identity_.max_s2m_ring,
              .max_log2_ring_size = identity_.max_log2_ring_size};
  return {Send{std::move(hello)}, arm(now)};
}

template <class Message>
Server::Actions Server::in(State state, const Message& message, std::size_t fd_count,
                           Actions (Server::*take)(const Message&)) {
  if (state_ != state) return refuse_unexpected(message);
  if (const Status fds = check_fds(message, fd_count); !fds) return refuse(fds.error());
  return (this->*take)(message);
}

Server::Actions Server::on_message(const Message& message, std::size_t fd_count, Clock::time_point) {
  if (done()) return {};
  return take_case(
      Cases{
          [&](const Init& init) { return in(State::init, init, fd_count, &Server::on_init); },
          [&](const AddRegion& region) { return in(State::layout, region, fd_count, &Server::on_add_region); },
          [&](const AddRing& ring) { return in(State::layout, ring, fd_count, &Server::on_add_ring); },
          [&](const Connect& connect) { return in(State::layout, connect, fd_count, &Server::on_connect); },
          [&](const Disconnect& disconnect) { return on_disconnect(disconnect); },
          [&](const Ack& ack) { return refuse_unexpected(ack); },
          [&](const Hello& hello) { return refuse_unexpected(hello); },
          [&](const Connected& connected) { return refuse_unexpected(connected); },
      },
      message);
}

Server::Actions Server::on_init(const Init& init) {
  if (const Status version = check_version(init); !version) return refuse(version.error());
  std::optional<ServerPolicy> policy = directory_(init.id);
  if (!policy) return refuse(refusal(Errc::unknown_id, "no interface of id ", init.id, " here"));
  if (policy->refusal) return abort(std::move(*policy->refusal));
  if (const Status welcome = check_policy(init, *policy); !welcome) return refuse(welcome.error());
  s2m_limit_ = limit(identity_.max_s2m_ring, policy->max_s2m_rings);
  m2s_limit_ = limit(identity_.max_m2s_ring, policy->max_m2s_rings);
  memory_limit_ = policy->max_memory;
  interface_name_ = std::move(policy->interface_name);
  admitted_ = true;
  state_ = State::layout;
  doing("waiting for regions, rings or CONNECT");
  return {Admit{init.id, init.name, init.version}, Send{Ack{}}};
}

Status Server::check(const AddRegion& region) const {
  if (region.index > identity_.max_region) {
    return refusal(Errc::too_many_regions, "region ", region.index, ": the highest index accepted is ",
                   identity_.max_region);
  }
  if (region.index != region_sizes_.size())
    return refusal(Errc::bad_region, "region ", region.index, " out of order, ", region_sizes_.size(), " is next");
  if (region.size == 0) return refusal(Errc::bad_region, "region ", region.index, " has size 0");
  // Whatever it has in it now: the peer can empty the file, so that all of it is charged to this process.
  if (const std::uint64_t more = reach(region); more > memory_limit_ - memory_) {
    return refusal(Errc::too_much_memory, "region ", region.index, " makes ", memory_ + more, " bytes, the limit is ",
                   memory_limit_, " (max_peer_memory)");
  }
  return Nothing{};
}

Server::Actions Server::on_add_region(const AddRegion& region) {
  if (const Status usable = check(region); !usable) return refuse(usable.error());
  region_sizes_.push_back(region.size);
  memory_ += reach(region);
  return {MapRegion{region.index, region.size}, Send{Ack{}}};
}

Status Server::check(const AddRing& ring) const {
  const std::string which = (ring.s2m ? "S2M ring " : "M2S ring ") + std::to_string(ring.index);
  const unsigned most = ring.s2m ? s2m_limit_ : m2s_limit_;
  const unsigned next = ring.s2m ? s2m_rings_ : m2s_rings_;
  if (ring.index >= most) {
    return refusal(Errc::too_many_rings, which, " is one too many: ", most,
                   ring.s2m ? " from the client" : " to the client", most == 1 ? " is" : " are", " accepted here");
  }
  if (ring.index != next) return refusal(Errc::bad_ring, which, " out of order, ", next, " is next");
  if (ring.private_hdr_size != 0)
    return refusal(Errc::bad_ring, which, ": private header of ", ring.private_hdr_size, " bytes, must be 0");
  const unsigned largest = std::min<unsigned>(identity_.max_log2_ring_size, wire::max_log2_ring_size);
  if (ring.log2_ring_size < wire::min_log2_ring_size || ring.log2_ring_size > largest) {
    return refusal(Errc::bad_ring, which, ": log2 of its size is ", ring.log2_ring_size, ", must be ",
                   wire::min_log2_ring_size, " to ", largest);
  }
  return check_place(ring, which);
}

Status Server::check_place(const AddRing& ring, std::string_view which) const {
  if (ring.region >= region_sizes_.size())
    return refusal(Errc::bad_ring, which, ": region ", ring.region, " does not exist");
  if (ring.offset % alignof(wire::Descriptor) != 0)
    return refusal(Errc::bad_ring, which, ": offset ", ring.offset, " is not a multiple of 16");
  // 32 bits plus at most 2^18: cannot overflow.
  const std::uint64_t begin = ring.offset;
  const std::uint64_t end = begin + wire::ring_bytes(ring.log2_ring_size);
  if (end > region_sizes_[ring.region]) {
    return refusal(Errc::bad_ring, which, ": ends at ", end, " in a region of ", region_sizes_[ring.region], " bytes");
  }
  for (const Placed& other : placed_) {
    if (other.region == ring.region && begin < other.end && other.begin < end)
      return refusal(Errc::bad_ring, which, ": offset ", ring.offset, " overlaps another ring");
  }
  return Nothing{};
}

Server::Actions Server::on_add_ring(const AddRing& ring) {
  if (const Status usable = check(ring); !usable) return refuse(usable.error());
  placed_.push_back({ring.region, ring.offset, ring.offset + std::uint64_t{wire::ring_bytes(ring.log2_ring_size)}});
  ++(ring.s2m ? s2m_rings_ : m2s_rings_);
  return {AttachRing{{ring.s2m, ring.index, ring.region, ring.offset, ring.log2_ring_size}}, Send{Ack{}}};
}

Server::Actions Server::on_connect(const Connect& connect) {
  if (region_sizes_.empty()) return refuse(refusal(Errc::unexpected_message, "CONNECT before any region was added"));
  if (placed_.empty()) return refuse(refusal(Errc::unexpected_message, "CONNECT before any ring was added"));
  state_ = State::up;
  set_up();
  return {Establish{}, Send{Connected{interface_name_}}, Deadline{}, Up{connect.interface_name}};
}

}  // namespace memif::handshake
