// One control channel: how messages get from it to the state machine of its role, and how what that asks for is done.
#pragma once

#include <deque>
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

// What does not depend on the role. Owned by its interface or, before there is one, by its listener; when it ends they
// have it freed. A client's that ends before the server has greeted it is the context's until then, or until another
// takes its channel over.
class Connection : public Handler {
 public:
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Ends it from this side, telling the peer.
  virtual void disconnect(Errc code, std::string_view why) = 0;

  virtual bool up() const noexcept = 0;
  bool over() const noexcept { return over_; }
  Result<Credentials> credentials() const { return channel_.credentials(); }

  // It is over, but its channel is not to be closed yet. docs/protocol.md, "Leaving".
  bool lingers() const noexcept { return lingers_ && !channel_.readable(); }
  // Of one that lingers: which listener has not greeted it, and the channel, as good as new.
  const std::string& listener_id() const noexcept { return listener_id_; }
  Channel give_channel() noexcept;

  // For the context's list of those that linger: its entry, here when it is not there.
  std::list<std::unique_ptr<Connection>> lingering = std::list<std::unique_ptr<Connection>>(1);
  const std::list<std::unique_ptr<Connection>>::iterator lingering_place = lingering.begin();

 protected:
  Connection(ContextImpl& context, Channel channel);

  virtual void on_deadline() = 0;

  // One that is over is freed by its owner in this call.
  void end(handshake::Leave leave) noexcept;
  void look_for_greeting() noexcept;

  Status watch();
  Status update_watch();
  Status send(const message::Message& message, int fd);
  Status take_greeting();

  ContextImpl& context_;
  Channel channel_;
  Timer deadline_;
  Timer more_;  // there may be more to receive; or nothing else tells
  SharedFd received_fd_;
  std::shared_ptr<Link> link_ = std::make_shared<Link>();  // until it is up
  PeerInfo peer_;
  std::string listener_id_;  // client

 private:
  bool watched_ = false, watching_write_ = false;
  bool over_ = false;
  bool lingers_ = false;
};

// A connection with the machine of its role, handshake::Server or handshake::Client.
template <class Machine>
class Host : public Connection {
 public:
  // Watches the channel and starts the machine. The connection may be over when this returns.
  void start();
  void on_ready() override;
  void disconnect(Errc code, std::string_view why) override;
  bool up() const noexcept override { return machine_.up(); }

 protected:
  using Action = typename Machine::Action;
  using Actions = typename Machine::Actions;

  Host(ContextImpl& context, Channel channel, Machine machine);

  virtual Actions take(const message::Message& message, std::size_t fds);

  // No error, or what prevents the action: then the rest is dropped and the machine aborted.
  virtual Status perform(Action& action) = 0;
  Status perform(handshake::Send& action) { return send(action.message, descriptor(action.fd)); }
  Status perform(handshake::Deadline& action);
  Status perform(handshake::Down& action);
  virtual int descriptor(handshake::FdRef which) const = 0;
  virtual void ended(const Reason& reason) = 0;  // has this freed

  // What comes after all that is to be done already.
  void queue(Actions actions);

  Machine machine_;

 private:
  // An entry from outside. Short of memory in the middle of it, the connection ends.
  template <class Step>
  void enter(Step step);
  void execute(Actions actions);
  void on_deadline() override;
  void receive_some();
  bool receive_one();  // false: nothing is there, or it is over
  void nothing_received(const Result<Channel::Receive>& received);
  void watch_as_needed();
  void end(const Reason& reason);

  std::deque<Action> actions_;
};

extern template class Host<handshake::Server>;
extern template class Host<handshake::Client>;

}  // namespace memif::detail
