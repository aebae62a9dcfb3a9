// The life of a command on one thread: a context, its ports, and one wait for packets, links and signals alike.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <memif/memif.hpp>

#include "common/port_options.hpp"
#include "common/stop.hpp"

namespace memif::tool {

// A port in use. Its link comes and goes only inside Session's calls.
class Port {
 public:
  Interface& interface() const noexcept { return *interface_; }
  const PortOptions& options() const noexcept { return options_; }
  const InterfaceConfig& config() const noexcept { return options_.config; }
  bool up() const noexcept { return up_; }
  std::uint64_t links() const noexcept { return links_; }  // connections so far
  const std::string& why_down() const noexcept { return why_down_; }

  // Of the present link, or of the last one. A server may have many more, which are down.
  std::size_t rx_queues() const noexcept { return rx_queues_; }
  std::size_t tx_queues() const noexcept { return tx_queues_; }
  RxQueue& rx(std::size_t queue) const { return interface_->rx(queue); }

  // Where to send what belongs to a receive queue: the queue of that number, or the first if the link has fewer.
  TxQueue& tx(std::size_t queue = 0) const { return interface_->tx(queue < tx_queues_ ? queue : 0); }

  // Of all links so far.
  std::size_t most_rx_queues() const noexcept { return most_rx_queues_; }
  std::size_t most_tx_queues() const noexcept { return most_tx_queues_; }

 private:
  friend class Session;
  explicit Port(PortOptions options) : options_(std::move(options)) {}
  void take_link();

  PortOptions options_;
  Interface* interface_ = nullptr;
  bool up_ = false;
  std::uint64_t links_ = 0;
  std::size_t rx_queues_ = 0, tx_queues_ = 0, most_rx_queues_ = 0, most_tx_queues_ = 0;
  std::string why_down_;

  // While there is no link: until when we wait, and what was told of it.
  Clock::time_point wait_until_{}, tell_at_{};
  std::uint64_t refusals_before_ = 0, refusals_ = 0;
  std::string told_;
};

// Owns the context and its ports. Control and data share the calling thread.
class Session {
 public:
  Session();

  // Listens or begins to connect. Throws Failure.
  Port& add(const PortOptions& options);

  // Waits until the port is up, as long as its options say: else throws Failure (exit_no_peer) with the reason in
  // words. False if a signal ended the wait.
  bool await_link(Port& port);

  // One step of that, for a command that serves other ports meanwhile: throws when the port's time is over, tells of
  // refusals and of a wait that is long, and returns until when to wait at most. The time counts from add(), or from
  // the end of the last link.
  Clock::time_point look_for_link(Port& port);

  // Waits until a queue has packets, a link changes, a signal arrives, `fd` is readable (-1: none), or `until`. True if
  // there are packets. How it waits is its ports' rx mode; sleeping costs nothing.
  bool wait(Clock::time_point until = Clock::time_point::max(), int fd = -1);

  // Sleeps for so long whatever comes, for a command that waits for room in a ring, of which nothing tells.
  void pause(std::chrono::nanoseconds duration);

  // After the last packet sent: time for the peer to take it before the link goes.
  void linger();

  bool stopped() const noexcept { return StopSignals::requested(); }
  Context& context() noexcept { return context_; }

 private:
  void begin_wait(Port& port);

  Context context_;
  WaitSet set_;
  StopSignals signals_{context_};
  std::vector<std::unique_ptr<Port>> ports_;
  std::uint64_t changes_ = 0;  // of links
};

// Of a port, handshakes that came to nothing. A server's clients may say why before they say which interface they want.
struct Refusals {
  std::uint64_t count = 0;
  std::optional<Reason> last{};  // with something to tell: a visitor who only looked is none
};
Refusals refusals_of(const Context& context, const Interface& interface);

// Why a link ended, fit for a terminal; and why a port has no peer.
std::string describe_reason(const Reason& reason);
std::string describe_refusal(const InterfaceConfig& config, const std::optional<Reason>& reason);

}  // namespace memif::tool
