// A listening socket and the interfaces behind it.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>

#include "base/deferred.hpp"
#include "control/reactor.hpp"
#include "control/server_connection.hpp"
#include "protocol/listen_socket.hpp"

namespace memif::detail {

class Listener final : public Handler {
 public:
  // Starts to listen. `adopted` sockets stay when the last interface goes.
  Listener(ContextImpl& context, Address address, ListenSocket socket, bool adopted);
  ~Listener() override { close(); }
  Status start();
  // Ends listening, at once: the name is free for another, though the object may have to wait for its callers.
  void close() noexcept;

  void on_ready() override;

  InterfaceImpl* find(std::uint32_t id) const noexcept;
  void add(std::uint32_t id, InterfaceImpl& interface);  // an id not yet there
  void remove(std::uint32_t id) noexcept;
  bool idle() const noexcept { return interfaces_.empty() && !adopted_; }

  // What HELLO offers: as much as there can be, whatever the interfaces take. Others do so, too, and rely on it: some
  // take a highest index for a count, some leave rings that were not offered lying about. docs/protocol.md, "Peers".
  const handshake::ServerIdentity& identity();

  // A connection has named its interface: it is no longer the listener's to evict.
  void identified(ServerConnection& connection) noexcept;
  std::unique_ptr<Connection> take(ServerConnection& connection) noexcept;
  void refused(const Reason& reason);

  // Ends the connections that belong to no interface yet.
  void end_all(const char* why);

  int fd() const noexcept { return socket_.fd(); }
  const Address& address() const noexcept { return address_; }
  const ListenerStats& stats() const noexcept { return stats_; }

 private:
  static void widen(handshake::ServerIdentity& identity, const InterfaceConfig& config);
  bool clear_backlog() noexcept;
  void accept_one(Channel channel);
  void evict();
  void rest(Reason why);
  void recovered();
  void resume();
  bool watch(unsigned events) noexcept;

  ContextImpl& context_;
  deferred::Helpers helpers_;
  Address address_;
  ListenSocket socket_;
  bool adopted_;
  bool watched_ = false, closed_ = false;
  std::unordered_map<std::uint32_t, InterfaceImpl*> interfaces_;
  std::optional<handshake::ServerIdentity> identity_;  // kept, since each connection asks for it
  std::unordered_map<ServerConnection*, std::unique_ptr<ServerConnection>> connections_;  // not admitted yet
  std::list<ServerConnection*> unidentified_;                                             // of these, oldest first
  Clock::duration rest_;                                                                  // how long the next one is
  Timer resume_;
  ListenerStats stats_;
};

}  // namespace memif::detail
