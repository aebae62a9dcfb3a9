// The host of a client's handshake: its interface's.
#pragma once

#include <string>
#include <utility>

#include "control/connection.hpp"

namespace memif::detail {

class InterfaceImpl;

class ClientConnection final : public Host<handshake::Client> {
 public:
  ClientConnection(ContextImpl& context, InterfaceImpl& interface, handshake::RingCounts rings,
                   std::string listener_id);

  // Nothing that can fail comes between connecting and this: to connect and leave at once harms some servers.
  void start(Channel channel) {
    channel_ = std::move(channel);
    Host::start();
  }

 private:
  using Host::perform;
  Status perform(Action& action) override;
  Status perform(handshake::Allocate& action);
  Status perform(handshake::TakeGreeting& action);
  Status perform(handshake::Up& action);
  int descriptor(handshake::FdRef which) const override;
  void ended(const Reason& reason) override;

  InterfaceImpl& interface_;
};

}  // namespace memif::detail
