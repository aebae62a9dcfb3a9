// An interface behind its public face: its queues, its connection, its memory of what happened.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include <memif/context.hpp>

#include "base/deferred.hpp"
#include "control/backoff.hpp"
#include "control/connection.hpp"
#include "control/waits.hpp"
#include "data/queues.hpp"
#include "protocol/address.hpp"

namespace memif::detail {

// Control thread, except info() and the queues.
class InterfaceImpl final : public Handler {
 public:
  InterfaceImpl(ContextImpl& context, InterfaceConfig config, Address address);
  ~InterfaceImpl() override;

  void on_ready() override {}

  // Client: tries now. Server: waits for a peer anyway.
  void connect();
  Status try_connect();
  void disconnect(const std::string& why);

  // The interface is going: ends its connection without a callback's return to it.
  void shut_down();
  void abandon() noexcept;

  // From its connection.
  void admitted(std::unique_ptr<Connection> connection);
  void came_up(std::shared_ptr<Link> link, PeerInfo peer);
  void ended(const Reason& reason, bool was_up);
  void refused(const Reason& reason);
  // Client: the server takes fewer rings. True: it is asked for as many, soon, and nothing else happens.
  bool settles_for(handshake::RingCounts fewer, const Reason& reason);
  // From its listener: nobody gets in, and they do again.
  void blocked(const Reason& reason) noexcept;
  void unblocked(const Reason& reason) noexcept;

  // From a queue, by way of the context. True: there was something wrong.
  bool check_queues();

  InterfaceInfo info() const;

  Interface& face() noexcept { return face_; }
  const InterfaceConfig& config() const noexcept { return config_; }
  const Address& address() const noexcept { return address_; }
  ContextImpl& context() noexcept { return context_; }
  Connection* connection() noexcept { return connection_.get(); }
  const std::shared_ptr<Queues>& queues() const noexcept { return queues_; }
  bool is_server() const noexcept { return config_.role == Role::server; }

 private:
  Status begin_connection();
  bool may_connect() noexcept;
  void retry() noexcept;
  handshake::RingCounts all_rings() const noexcept { return {config_.tx_queues, config_.rx_queues}; }
  void note(const Reason& reason, std::uint64_t InterfaceInfo::*counter) noexcept;
  void publish() const noexcept;

  ContextImpl& context_;
  deferred::Helpers helpers_;
  InterfaceConfig config_;
  Address address_;
  Interface face_;
  std::shared_ptr<Queues> queues_;
  InterfaceWaits waits_;
  std::unique_ptr<Connection> connection_;
  Timer reconnect_;
  Backoff backoff_;
  handshake::RingCounts rings_;       // client: to ask for, until the next link
  uid_t server_ = deferred::nobody;   // client: whose the last server was
  Clock::time_point next_attempt_{};  // while too much of that one's is being closed
  bool closing_ = false;

  mutable std::mutex mutex_;  // for what any thread may ask
  InterfaceInfo info_;        // counters, peer and last reason only
};

}  // namespace memif::detail
