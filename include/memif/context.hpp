// Contexts and interfaces: the control plane.
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
class WaitSetImpl;
}  // namespace detail

// One end of a memif. Its context owns it; it lives until Context::remove() or the context's end.
//
// Threads: the control thread only, except rx()/tx() and what they return (see rx_queue.hpp, tx_queue.hpp), rx_rings(),
// tx_rings(), info() and connected(), which are for any thread.
class Interface {
 public:
  // The configuration that it was added with, and the default name filled in. Valid as long as the interface.
  const InterfaceConfig& config() const noexcept;

  // Whether there is a link.
  bool connected() const noexcept;

  // The queues exist from the start, config().rx_queues and tx_queues of them, and outlive every reconnect; a queue is
  // down if the present link has no ring for it. `index` counts from 0; out of range, it throws std::out_of_range. The
  // references are valid as long as the interface.
  RxQueue& rx(std::size_t index);
  TxQueue& tx(std::size_t index);

  // The number of queues that have a ring of the present link: those with the lowest indexes. 0 without a link. For a
  // loop over the queues of a server that takes as many as its client brings.
  std::size_t rx_rings() const noexcept;
  std::size_t tx_rings() const noexcept;

  // As rx() and tx(), for a thread that may outlive the interface: the queue stays valid, and down, after its interface
  // is gone.
  std::shared_ptr<RxQueue> share_rx(std::size_t index);
  std::shared_ptr<TxQueue> share_tx(std::size_t index);

  // Coroutines (memif/coroutine.hpp): co_await until_connected() waits for a link, the other for its end. Where there
  // is one, or none, they do not wait. Their coroutines are resumed after the callbacks. `limits`: a time-out, a
  // std::stop_token, or both.
  template <class... Limits>
  Wait until_connected(const Limits&... limits) noexcept;
  template <class... Limits>
  Wait until_disconnected(const Limits&... limits) noexcept;

  // A client tries to connect now, whatever its reconnect timer says. No effect on a server, or while connected or
  // connecting.
  void connect();

  // As connect(), but returns the Error that prevented it. No error: the handshake has begun, or this is a server.
  // Errc::already_connected: a handshake or a link was there before.
  Status try_connect();

  // Ends the link, or the attempt, and tells the peer `why`. No effect without either. If the link was up,
  // on_disconnected runs before this returns. A client with a reconnect period tries again after that period.
  void disconnect(const std::string& why = "disconnected by the application");

  // A copy of all that is known of it now. May throw std::bad_alloc.
  InterfaceInfo info() const;

  Interface(const Interface&) = delete;
  Interface& operator=(const Interface&) = delete;

 private:
  friend class Context;
  friend class detail::ContextImpl;
  friend class detail::InterfaceImpl;
  Interface() = default;
  ~Interface() = default;

  Wait until(bool connected, detail::WaitLimits&& limits) noexcept;

  detail::InterfaceImpl* impl_ = nullptr;
};

// What ended a Context::poll(): an event, the time-out (or a signal), or wake().
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
  // no error. Where try_add() returns an Error, add() throws it as an Exception; nothing is left behind in either case.
  // The interface is valid until remove() or the context's end.
  Interface& add(InterfaceConfig config);
  Result<Interface*> try_add(InterfaceConfig config);

  // Ends the interface's link and frees the interface; safe in any callback, also in the interface's own. Data threads
  // that hold its queues by share_rx() or share_tx() see them go down.
  void remove(Interface& interface) noexcept;

  // Uses a socket that listens already (socket activation) for the interfaces on `socket` that are added from now on.
  // memifpp never unlinks such a socket's file. `listening` must be a bound and listening UNIX socket of type
  // SOCK_SEQPACKET; it is memifpp's from now on, and closed if an Error is returned. Errc::address_in_use: this context
  // listens on `socket` already.
  Status adopt_listener(const std::string& socket, Fd listening);

  // The listening descriptor of `socket`, or -1 if this context does not listen there. It stays memifpp's.
  int listener_fd(const std::string& socket) const noexcept;

  // nullopt: there is no such listener.
  std::optional<ListenerStats> listener_stats(const std::string& socket) const;

  // Waits up to `timeout` (negative: no limit), handles the descriptors and timers that are ready, and resumes
  // coroutines (memif/coroutine.hpp). A signal ends the wait as a time-out does. Only with the built-in loop; with
  // another one it throws std::logic_error.
  PollResult poll(std::chrono::milliseconds timeout);

  // Makes the present or the next poll() return `woken`, once. From any thread and from signal handlers.
  void wake() noexcept;

  // Calls from the user's own loop (EventLoop): a watched `fd` is ready; the timer's time has come.
  void handle(int fd);
  void handle_timer();

  // With the built-in loop: a descriptor that is readable whenever poll() has something to do, so that the loop can be
  // nested in any other. It stays memifpp's. -1 with the user's own loop. Where coroutines wait (memif/coroutine.hpp),
  // let a poll(0ms) precede the sleep: one that waits itself leaves looking at their queues to the next.
  int fd() const noexcept;

 private:
  friend class detail::WaitSetImpl;
  std::shared_ptr<detail::ContextImpl> impl_;
};

// A listener's own description, from its HELLO, before any interface is chosen.
struct ListenerInfo {
  std::string app_name;
  std::uint16_t min_version = 0, max_version = 0;
  std::uint32_t max_regions = 0, max_s2m_rings = 0, max_m2s_rings = 0;  // counts
  std::uint32_t max_ring_size = 0;
  Credentials credentials;
};

// Connects to `socket`, peeks at the listener's HELLO and leaves, which harms no listener that has sent one. Blocks up
// to `timeout` (negative: no limit), and half a second more for a HELLO that has not come: some listeners end when a
// visitor leaves before HELLO. After that the channel is kept, for the next probe of the same listener. From any
// thread. Errors: Errc::timed_out, peer_gone and peer_refused, unexpected_message and others for a peer that does not
// speak memif, and those of connecting.
Result<ListenerInfo> probe(const std::string& socket, std::chrono::milliseconds timeout);

}  // namespace memif
