// Contexts and interfaces: the control plane that users hold.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include <memif/config.hpp>
#include <memif/error.hpp>
#include <memif/event_loop.hpp>
#include <memif/fd.hpp>
#include <memif/rx_queue.hpp>
#include <memif/stats.hpp>
#include <memif/tx_queue.hpp>

namespace memif {

namespace detail {
class ContextImpl;
class InterfaceImpl;
}  // namespace detail

// One end of a memif. Owned by its context; lives until Context::remove() or the context's end.
//
// Threads: the control thread only, except rx()/tx() and what they return (see rx_queue.hpp, tx_queue.hpp), rx_rings(),
// tx_rings(), info() and connected(), which are for any thread.
class Interface {
 public:
  const InterfaceConfig& config() const noexcept;
  bool connected() const noexcept;

  // The queues exist from the start, config().rx_queues and tx_queues of them, and outlive every reconnect; one whose
  // ring the present link does not have is simply down. `index` out of range throws std::out_of_range. The references
  // are valid as long as the interface.
  RxQueue& rx(std::size_t index);
  TxQueue& tx(std::size_t index);

  // How many queues have a ring of the present link: those with the lowest indexes. 0 without a link. For a loop over
  // the queues of a server that takes as many as its client brings.
  std::size_t rx_rings() const noexcept;
  std::size_t tx_rings() const noexcept;

  // The same, for a thread that may outlive the interface: the queue stays valid, and down, after its interface is
  // gone.
  std::shared_ptr<RxQueue> share_rx(std::size_t index);
  std::shared_ptr<TxQueue> share_tx(std::size_t index);

  // A client tries to connect now, whatever its reconnect timer says. No effect on a server or while connected.
  void connect();

  // The same, telling what prevented it. No error: the handshake has begun. Errc::already_connected: it had before.
  Status try_connect();

  // Ends the link, or the attempt, telling the peer `why`. A client with a reconnect period tries again after it.
  void disconnect(const std::string& why = "disconnected by the application");

  InterfaceInfo info() const;

  Interface(const Interface&) = delete;
  Interface& operator=(const Interface&) = delete;

 private:
  friend class Context;
  friend class detail::ContextImpl;
  friend class detail::InterfaceImpl;
  Interface() = default;
  ~Interface() = default;

  detail::InterfaceImpl* impl_ = nullptr;
};

enum class PollResult { handled, timed_out, woken };

// Owns listeners and interfaces, and runs their handshakes, timers and callbacks on one thread, the control thread:
// the one that calls poll() or handle(). A child of fork() may destroy it, which its parent does not notice, and
// nothing else (docs/architecture.md).
class Context {
 public:
  explicit Context(ContextConfig config = {});  // throws Exception
  ~Context();
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;

  // Adds an interface. A server listens at once; a client tries to connect at once, and a peer that is not there yet is
  // no error. add() throws Exception where try_add() returns the Error; nothing is left behind in either case.
  Interface& add(InterfaceConfig config);
  Result<Interface*> try_add(InterfaceConfig config);

  // Ends its link and frees it; safe in any callback, also in its own. Data threads that hold its queues by share_rx()
  // or share_tx() see them go down.
  void remove(Interface& interface) noexcept;

  // Uses a socket that listens already (socket activation) for the interfaces of `socket`, those added from now on.
  // memifpp never unlinks such a socket's file. SOCK_SEQPACKET, bound and listening, or an Error.
  Status adopt_listener(const std::string& socket, Fd listening);

  // The listening descriptor of `socket`, or -1. Stays memifpp's.
  int listener_fd(const std::string& socket) const noexcept;

  // nullopt: there is no such listener.
  std::optional<ListenerStats> listener_stats(const std::string& socket) const;

  // Waits up to `timeout` (negative: no limit) and handles what is ready. A signal ends the wait as a time-out does.
  // Only with the built-in loop.
  PollResult poll(std::chrono::milliseconds timeout);

  // Makes the present or the next poll() return `woken`, once. From any thread and from signal handlers.
  void wake() noexcept;

  // With the user's own loop: `fd` is ready; the timer's time has come.
  void handle(int fd);
  void handle_timer();

  // With the built-in loop: readable whenever poll() has something to do, so that it can be nested in any other loop.
  int fd() const noexcept;

 private:
  std::shared_ptr<detail::ContextImpl> impl_;
};

// What a listener says of itself before any interface is chosen.
struct ListenerInfo {
  std::string app_name;
  std::uint16_t min_version = 0, max_version = 0;
  std::uint32_t max_regions = 0, max_s2m_rings = 0, max_m2s_rings = 0;  // counts
  std::uint32_t max_ring_size = 0;
  Credentials credentials;
};

// Connects to `socket`, looks at the listener's HELLO and leaves, which harms no listener that has sent one. Blocks up
// to `timeout` (negative: no limit), and half a second more for a HELLO that has not come: there are listeners that end
// for it when a visitor has left before. After that the channel is kept, for the next probe of the same listener. From
// any thread.
Result<ListenerInfo> probe(const std::string& socket, std::chrono::milliseconds timeout);

}  // namespace memif
