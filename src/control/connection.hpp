// The host of a handshake: one control channel, and what its state machine asks for.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "control/reactor.hpp"
#include "data/link.hpp"
#include "protocol/channel.hpp"
#include "protocol/handshake.hpp"

namespace memif::detail {

class ContextImpl;
class InterfaceImpl;
class Listener;

// What both roles have in common: moving messages between the channel and the machine, the deadline, the end.
// Owned by its interface or, before there is one, by its listener; ends by burying itself through them. A client's that
// ends before the server has greeted it is the context's until then, or until another takes its channel over.
class Connection : public Handler {
 public:
  Connection(ContextImpl& context, Channel channel);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Watches the channel and starts the machine. The connection may be over when this returns.
  void start();
  void on_ready() override;

  // Ends it from this side, telling the peer.
  void disconnect(Errc code, std::string_view why);

  bool over() const noexcept { return over_; }
  // It is over, but its channel is not to be closed yet. docs/protocol.md, "Leaving".
  bool lingers() const noexcept { return lingers_ && !channel_.readable(); }
  // Of one that lingers: which listener has not greeted it, and the channel, as good as new.
  const std::string& listener_id() const noexcept { return listener_id_; }
  Channel give_channel() noexcept;

  // For the context's list of those that linger: its entry, here when it is not there.
  std::list<std::unique_ptr<Connection>> lingering = std::list<std::unique_ptr<Connection>>(1);
  const std::list<std::unique_ptr<Connection>>::iterator lingering_place = lingering.begin();
  bool up() { return machine().up(); }
  Result<Credentials> credentials() const { return channel_.credentials(); }

 protected:
  virtual handshake::Endpoint& machine() = 0;
  virtual handshake::Actions begin(Clock::time_point now) = 0;
  virtual handshake::Actions take(const message::Message& message, std::size_t fds) = 0;

  // Each returns no error, or what prevents the action: then the rest of the list is dropped and the machine aborted.
  virtual Status perform(handshake::Admit& action);
  virtual Status perform(handshake::Allocate& action);
  virtual Status perform(handshake::MapRegion& action);
  virtual Status perform(handshake::AttachRing& action);
  virtual Status perform(handshake::Establish& action) = 0;
  Status perform(handshake::TakeGreeting& action);
  virtual int descriptor(handshake::FdRef which) const;
  virtual void ended(const Reason& reason) = 0;  // buries this

  // An entry from outside. Short of memory in the middle of it, the connection ends.
  template <class Step>
  void enter(Step step);
  void execute(handshake::Actions actions);
  SharedFd take_fd();
  void take_fds() noexcept { channel_.take_fds(); }
  void open(Channel channel) noexcept { channel_ = std::move(channel); }

  ContextImpl& context_;
  std::shared_ptr<Link> link_ = std::make_shared<Link>();
  PeerInfo peer_;
  std::string listener_id_;  // client

 private:
  Status perform(handshake::Send& action);
  Status perform(handshake::Down& action);
  Status perform(handshake::Deadline& action);
  void receive_some();
  static Result<message::Message> checked(const Datagram& datagram);
  handshake::Actions unable_to_send(std::error_code why);
  void update_watch();
  void look_for_greeting() noexcept;
  void end(const Reason& reason);

  Channel channel_;
  Timer deadline_;
  Timer more_;  // there may be more to receive; or nothing else tells
  SharedFd received_fd_;
  bool watched_ = false, watching_write_ = false;
  bool over_ = false;
  bool lingers_ = false;
};

class ServerConnection final : public Connection {
 public:
  ServerConnection(ContextImpl& context, Listener& listener, Channel channel);

  // For the listener's list of connections that have not named an interface: its entry, here when it is not there.
  std::list<ServerConnection*> silence{this};
  const std::list<ServerConnection*>::iterator silent_place = silence.begin();

 private:
  handshake::Endpoint& machine() override { return machine_; }
  handshake::Actions begin(Clock::time_point now) override { return machine_.start(now); }
  handshake::Actions take(const message::Message& message, std::size_t fds) override;
  Status perform(handshake::Admit& action) override;
  Status perform(handshake::MapRegion& action) override;
  Status perform(handshake::AttachRing& action) override;
  Status perform(handshake::Establish& action) override;
  void ended(const Reason& reason) override;
  std::optional<handshake::ServerPolicy> policy(std::uint32_t id);

  Listener& listener_;
  InterfaceImpl* wanted_ = nullptr;     // that INIT named: to be told of a refusal
  InterfaceImpl* interface_ = nullptr;  // that it was admitted to
  handshake::Server machine_;
};

class ClientConnection final : public Connection {
 public:
  ClientConnection(ContextImpl& context, InterfaceImpl& interface, handshake::RingCounts rings,
                   std::string listener_id);

  // Nothing that can fail comes between connecting and this: to connect and leave at once harms some servers.
  void start(Channel channel) {
    open(std::move(channel));
    Connection::start();
  }

 private:
  handshake::Endpoint& machine() override { return machine_; }
  handshake::Actions begin(Clock::time_point now) override { return machine_.start(now); }
  handshake::Actions take(const message::Message& message, std::size_t fds) override;
  Status perform(handshake::Allocate& action) override;
  Status perform(handshake::Establish& action) override;
  int descriptor(handshake::FdRef which) const override;
  void ended(const Reason& reason) override;

  InterfaceImpl& interface_;
  handshake::Client machine_;
};

}  // namespace memif::detail
