// The host of a server's handshake: the listener's until the client has named an interface, then that interface's.
#pragma once

#include <list>
#include <optional>

#include "control/connection.hpp"

namespace memif::detail {

class InterfaceImpl;
class Listener;

class ServerConnection final : public Host<handshake::Server> {
 public:
  ServerConnection(ContextImpl& context, Listener& listener, Channel channel);

  // For the listener's list of connections that have not named an interface: its entry, here when it is not there.
  std::list<ServerConnection*> unidentified{this};
  const std::list<ServerConnection*>::iterator unidentified_place = unidentified.begin();

 private:
  using Host::perform;
  Actions take(const message::Message& message, std::size_t fds) override;
  Status perform(Action& action) override;
  Status perform(handshake::Admit& action);
  Status perform(handshake::MapRegion& action);
  Status perform(handshake::AttachRing& action);
  Status perform(handshake::Establish& action);
  Status perform(handshake::Up& action);
  int descriptor(handshake::FdRef) const override { return -1; }
  void ended(const Reason& reason) override;
  std::optional<handshake::ServerPolicy> policy(std::uint32_t id);

  Listener& listener_;
  InterfaceImpl* wanted_ = nullptr;     // that INIT named: to be told of a refusal
  InterfaceImpl* interface_ = nullptr;  // that it was admitted to
};

}  // namespace memif::detail
