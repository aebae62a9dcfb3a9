// A context behind its public face.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <unordered_map>

#include <memif/context.hpp>

#include "control/epoll_loop.hpp"
#include "control/interface_impl.hpp"
#include "control/listener.hpp"
#include "control/reactor.hpp"
#include "control/waits.hpp"

namespace memif::detail {

class ContextImpl final : public Handler {
 public:
  explicit ContextImpl(ContextConfig config);  // throws Exception
  ~ContextImpl() override;

  Result<InterfaceImpl*> add(InterfaceConfig config);
  void remove(InterfaceImpl& interface) noexcept;
  Status adopt_listener(const std::string& socket, Fd fd);
  Listener* listener(const Address& address) const noexcept;

  // A connection that is over: it is freed as soon as that harms no peer.
  void see_off(std::unique_ptr<Connection> connection) noexcept;
  void see_off_greeted(Connection& connection) noexcept;
  // The channel of one that lingers, if there is one to this listener: whoever comes back does not come twice.
  std::optional<Channel> ungreeted_channel(const std::string& listener_id) noexcept;

  PollResult poll(std::chrono::milliseconds timeout);
  // The built-in loop's.
  bool run_once(std::chrono::milliseconds timeout);
  void on_ready() override;  // somebody woke us

  // The parts are one line. Short of memory it is not written: a log holds nothing up.
  template <class... Parts>
  void log(LogLevel level, const Parts&... parts) const {
    if (!config_.log) return;
    std::string line;
    try {
      ((line += parts), ...);
    } catch (const std::bad_alloc&) {
      return;
    }
    config_.log(level, line);
  }

  const ContextConfig& config() const noexcept { return config_; }
  Reactor& reactor() noexcept { return reactor_; }
  EpollLoop* own_loop() noexcept { return own_loop_.get(); }
  Datagram& scratch() noexcept { return scratch_; }
  const std::shared_ptr<Waker>& waker() noexcept { return waker_; }
  Waits& waits() noexcept { return waits_; }

 private:
  Result<InterfaceImpl*> try_add(InterfaceConfig config);
  std::string unused_name(std::uint32_t id) const;
  Result<Listener*> open_listener(const Address& address, const SocketFile& file);
  Result<Listener*> start_listener(const Address& address, ListenSocket socket, bool adopted);
  void close_if_idle(const Address& address) noexcept;
  void abandon_if_inherited() noexcept;
  void await_greetings() noexcept;

  const pid_t process_ = ::getpid();  // that made it
  ContextConfig config_;
  std::unique_ptr<EpollLoop> own_loop_;
  Reactor reactor_;
  std::shared_ptr<Waker> waker_;
  Waits waits_{*this};
  Datagram scratch_;  // one for all: a message is handled before the next is received
  // Over, but not greeted. Never more for a listener than there were clients of it at one time.
  std::list<std::unique_ptr<Connection>> lingering_;
  std::map<std::string, std::unique_ptr<Listener>> listeners_;  // by the key of their address
  std::unordered_map<InterfaceImpl*, std::unique_ptr<InterfaceImpl>> interfaces_;
};

}  // namespace memif::detail
