#include "control/server_connection.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "control/context_impl.hpp"
#include "memory/interrupt.hpp"
#include "observe/published.hpp"

namespace memif::detail {

ServerConnection::ServerConnection(ContextImpl& context, Listener& listener, Channel channel)
    : Host(context, std::move(channel), {listener.identity(), [this](std::uint32_t id) { return policy(id); }}),
      listener_(listener) {
  link_->client = false;
  channel_.limit_unread();
}

ServerConnection::Actions ServerConnection::take(const message::Message& message, std::size_t fds) {
  const auto* const init = std::get_if<message::Init>(&message);
  if (init != nullptr && interface_ == nullptr) listener_.identified(*this);
  Actions actions = Host::take(message, fds);
  if (init != nullptr) wanted_ = interface_ == nullptr ? listener_.find(init->id) : nullptr;
  return actions;
}

Status ServerConnection::perform(Action& action) {
  return std::visit([this](auto& one) { return perform(one); }, action);
}

std::optional<handshake::ServerPolicy> ServerConnection::policy(std::uint32_t id) {
  InterfaceImpl* interface = listener_.find(id);
  if (interface == nullptr) return std::nullopt;
  // A peer that died and came back may be faster than the news of its death.
  if (interface->connection() != nullptr) interface->connection()->on_ready();
  interface = listener_.find(id);
  if (interface == nullptr) return std::nullopt;

  const InterfaceConfig& config = interface->config();
  handshake::ServerPolicy policy{.connected = interface->connection() != nullptr,
                                 .is_server = true,
                                 .mode = config.mode,
                                 .secret = config.secret,
                                 .max_s2m_rings = config.rx_queues,
                                 .max_m2s_rings = config.tx_queues,
                                 .max_memory = config.max_peer_memory,
                                 .interface_name = config.name,
                                 .refusal = std::nullopt};
  if (!config.allowed_users.empty() || !config.allowed_groups.empty()) {
    const Result<Credentials> peer = credentials();
    const auto lists = [](const auto& list, auto value) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    if (!peer || !(lists(config.allowed_users, peer->uid) || lists(config.allowed_groups, peer->gid)))
      policy.refusal = Reason{
          Errc::peer_not_allowed, false,
          peer ? "user " + std::to_string(peer->uid) + ", group " + std::to_string(peer->gid) + " is not allowed here"
               : "the peer's credentials are unknown"};
  }
  return policy;
}

Status ServerConnection::perform(handshake::Admit& action) {
  interface_ = listener_.find(action.id);
  if (interface_ == nullptr) return Error{Errc::unknown_id, "interface " + std::to_string(action.id) + " has gone"};
  wanted_ = nullptr;
  channel_.take_fds();
  interface_->admitted(listener_.take(*this));
  peer_.app_name = std::move(action.app_name);
  peer_.version = action.version;
  if (const Result<Credentials> peer = credentials()) peer_.credentials = *peer;
  return Nothing{};
}

Status ServerConnection::perform(handshake::MapRegion& action) {
  const InterfaceConfig& config = interface_->config();
  SharedFd file = std::move(received_fd_);
  // What former links of this user had may be mapped for a moment yet.
  const std::uint64_t unmapping = deferred::unmapping(file.user());
  std::uint64_t left = config.max_peer_memory - std::min(config.max_peer_memory, unmapping);
  for (const Region& other : link_->regions) left -= std::min(left, other.mapped());
  Result<Region> region = Region::map_peer(std::move(file), action.size, config.require_sealed_memory,
                                           action.index != 0 ? config.memory_hooks : nullptr, left);
  if (!region) {
    if (region.error().code == Errc::too_much_memory && unmapping != 0) return deferred::no_room();
    region.error().message = "region " + std::to_string(action.index) + ": " + region.error().message;
    return region.error();
  }
  // Observers read rings and packets by the file's descriptor: docs/observing.md, "Packets".
  if (action.index >= published::most_regions || !context_.config().publish) region->close_file();
  link_->regions.push_back(std::move(*region));
  return Nothing{};
}

Status ServerConnection::perform(handshake::AttachRing& action) {
  Result<SharedFd> interrupt = adopt_interrupt(std::move(received_fd_));
  if (!interrupt) return interrupt.error();
  if (!interrupt->has_place()) return deferred::no_room();
  LinkRing ring;
  ring.spec = action.ring;
  ring.interrupt = std::move(*interrupt);
  (action.ring.s2m ? link_->rx : link_->tx).push_back(std::move(ring));
  return Nothing{};
}

Status ServerConnection::perform(handshake::Establish&) { return complete_server_link(*link_); }

Status ServerConnection::perform(handshake::Up& action) {
  peer_.interface_name = std::move(action.peer_interface_name);
  interface_->came_up(std::exchange(link_, nullptr), std::move(peer_));
  return Nothing{};
}

void ServerConnection::ended(const Reason& reason) {
  const bool was_up = link_ == nullptr;
  if (!was_up) listener_.refused(reason);
  if (interface_ != nullptr) {
    interface_->ended(reason, was_up);
    return;
  }
  context_.reactor().free_later(listener_.take(*this));
  if (wanted_ != nullptr) wanted_->refused(reason);  // which may remove the listener
}

}  // namespace memif::detail
