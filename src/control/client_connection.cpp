#include "control/client_connection.hpp"

#include <bit>
#include <utility>
#include <variant>

#include "control/context_impl.hpp"

namespace memif::detail {

ClientConnection::ClientConnection(ContextImpl& context, InterfaceImpl& interface, handshake::RingCounts rings,
                                   std::string listener_id)
    : Host(context, Channel(Fd()),
           handshake::Client(
               {.app_name = context.config().app_name,
                .interface_name = interface.config().name,
                .id = interface.config().id,
                .mode = interface.config().mode,
                .secret = interface.config().secret,
                .rings = rings,
                .log2_ring_size = static_cast<std::uint8_t>(std::bit_width(interface.config().ring_size) - 1),
                .timeout = interface.config().handshake_timeout})),
      interface_(interface) {
  listener_id_ = std::move(listener_id);
}

Status ClientConnection::perform(Action& action) {
  return std::visit([this](auto& one) { return perform(one); }, action);
}

Status ClientConnection::perform(handshake::Allocate& action) {
  bool fell_back = false;
  const Result<Credentials> server = credentials();
  auto link = make_client_link(interface_.config(), server ? server->uid : deferred::nobody, action.s2m_rings,
                               action.m2s_rings, action.log2_ring_size, fell_back);
  if (!link) return link.error();
  link_ = std::move(*link);
  if (fell_back)
    context_.log(LogLevel::warning, interface_.config().name, ": no huge pages to be had, using ordinary ones");
  peer_.app_name = std::move(action.peer_app_name);
  peer_.version = wire::version;
  if (server) peer_.credentials = *server;
  std::vector<std::uint64_t> sizes;
  for (const Region& region : link_->regions) sizes.push_back(region.size());
  queue(machine_.allocated(std::move(sizes), ring_specs(*link_), Clock::now()));
  return Nothing{};
}

Status ClientConnection::perform(handshake::TakeGreeting&) { return take_greeting(); }

int ClientConnection::descriptor(handshake::FdRef which) const {
  switch (which.kind) {
    case handshake::FdKind::none:
      return -1;
    case handshake::FdKind::region:
      return link_->regions[which.index].fd();
    case handshake::FdKind::s2m_ring:
      return link_->tx[which.index].interrupt.get();
    case handshake::FdKind::m2s_ring:
      return link_->rx[which.index].interrupt.get();
  }
  return -1;
}

Status ClientConnection::perform(handshake::Up& action) {
  peer_.interface_name = std::move(action.peer_interface_name);
  if (interface_.config().post_buffers) post_all_buffers(*link_);
  interface_.came_up(std::exchange(link_, nullptr), std::move(peer_));
  return Nothing{};
}

void ClientConnection::ended(const Reason& reason) {
  if (machine_.fewer() && interface_.settles_for(*machine_.fewer(), reason)) return;
  interface_.ended(reason, link_ == nullptr);
}

}  // namespace memif::detail
