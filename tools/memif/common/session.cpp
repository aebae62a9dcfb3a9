#include "common/session.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "common/command.hpp"
#include "common/output.hpp"
#include "common/units.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

timespec until_timeout(Clock::time_point until) {
  const auto left = std::max<std::chrono::nanoseconds>(until - Clock::now(), 0ns);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
}

constexpr WaitSet::Key control_key = 0, packets_key = 1, other_key = 2;

// A descriptor in a wait set for as long as this lives. What epoll does not take is always readable: a file, /dev/null.
class Watched {
 public:
  Watched(WaitSet& set, int fd) : set_(set), fd_(fd) {
    if (fd_ < 0 || set_.try_add(fd_, event_read, other_key)) return;
    always_ready_ = true;
    fd_ = -1;
  }
  ~Watched() {
    if (fd_ >= 0) set_.remove(fd_);
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  bool always_ready() const noexcept { return always_ready_; }

 private:
  WaitSet& set_;
  int fd_;
  bool always_ready_ = false;
};

}  // namespace

void Port::take_link() {
  up_ = true;
  ++links_;
  rx_queues_ = interface_->rx_rings();
  tx_queues_ = interface_->tx_rings();
  most_rx_queues_ = std::max(most_rx_queues_, rx_queues_);
  most_tx_queues_ = std::max(most_tx_queues_, tx_queues_);
  const InterfaceConfig& wanted = config();
  if (wanted.role == Role::client && (rx_queues_ < wanted.rx_queues || tx_queues_ < wanted.tx_queues))
    notice(fmt::format("the server on {} takes {} of our {} queues to it, and {} of {} from it", port_name(wanted),
                       tx_queues_, wanted.tx_queues, rx_queues_, wanted.rx_queues));
}

Refusals refusals_of(const Context& context, const Interface& interface) {
  const auto listener = context.listener_stats(interface.config().socket);
  if (!listener) {
    InterfaceInfo info = interface.info();
    return {info.refusals, std::move(info.last_reason)};
  }
  Refusals refusals{listener->refused, listener->last_refusal};
  if (refusals.last && refusals.last->code == Errc::peer_gone) refusals.last.reset();
  return refusals;
}

std::string describe_refusal(const InterfaceConfig& config, const std::optional<Reason>& reason) {
  if (!reason) return config.role == Role::server ? "nobody connected" : "no answer";
  return describe_reason(*reason);
}

std::string describe_reason(const Reason& reason) {
  return reason.from_peer ? "the peer says: " + printable(reason.text) : reason.text;
}

Session::Session() : context_({.app_name = "memif", .publish = publishing_wanted()}) {
  set_.add(context_, control_key);
}

void Session::begin_wait(Port& port) {
  const auto now = Clock::now();
  port.wait_until_ = port.options_.wait ? now + *port.options_.wait : Clock::time_point::max();
  port.tell_at_ = now + long_wait;
  port.refusals_before_ = port.refusals_ = refusals_of(context_, port.interface()).count;
  port.told_.clear();
}

Port& Session::add(const PortOptions& options) {
  check_port(options);
  auto port = std::unique_ptr<Port>(new Port(options));
  InterfaceConfig config = interface_config(options);
  config.on_connected = [this, p = port.get()](Interface& interface) {
    p->interface_ = &interface;
    p->take_link();
    for (std::size_t i = 0; i < p->rx_queues(); ++i) set_.add(p->rx(i), packets_key);
    ++changes_;
  };
  config.on_disconnected = [this, p = port.get()](Interface&, const Reason& reason) {
    p->why_down_ = describe_reason(reason);
    p->up_ = false;
    begin_wait(*p);
    ++changes_;
  };
  auto added = context_.try_add(std::move(config));
  if (!added)
    throw Failure(added.error().code == Errc::invalid_config ? exit_usage : exit_failed, added.error().message);
  port->interface_ = *added;
  begin_wait(*port);
  ports_.push_back(std::move(port));
  return *ports_.back();
}

bool Session::await_link(Port& port) {
  begin_wait(port);
  while (!port.up()) {
    if (stopped()) return false;
    // Not wait(): what the queues of other ports have is for those who are going to use them.
    context_.poll(std::chrono::ceil<std::chrono::milliseconds>(look_for_link(port) - Clock::now()));
  }
  return true;
}

Clock::time_point Session::look_for_link(Port& port) {
  const Refusals refusals = refusals_of(context_, port.interface());
  const auto why =
      refusals.count != port.refusals_before_ && refusals.last ? refusals.last : port.interface().info().last_reason;
  const auto now = Clock::now();
  if (now >= port.wait_until_)
    throw Failure(exit_no_peer,
                  fmt::format("no peer on {} within {}: {}", port_name(port.config()),
                              format_duration(*port.options().wait), describe_refusal(port.config(), why)));
  // What is in the way may be cured while we wait. A refusal is told at once, that nobody comes after a while.
  const bool refused = std::exchange(port.refusals_, refusals.count) != refusals.count && why && why->from_peer;
  if (refused || (now >= port.tell_at_ && port.told_.empty() && port.links_ == 0)) {
    std::string reason = describe_refusal(port.config(), why);
    if (port.told_ != reason)
      notice(fmt::format("{} on {}: {}; still waiting", refused ? "refused" : "no peer yet", port_name(port.config()),
                         reason));
    port.told_ = std::move(reason);
  }
  return std::min(port.wait_until_, now + 100ms);
}

bool Session::wait(Clock::time_point until, int fd) {
  const std::uint64_t changes = changes_;
  const Watched watched(set_, fd);
  if (watched.always_ready()) until = Clock::now();
  while (!stopped() && changes == changes_) {
    std::chrono::nanoseconds left = -1ns;
    if (until != Clock::time_point::max()) left = std::max<std::chrono::nanoseconds>(until - Clock::now(), 0ns);
    bool control = false, packets = false, other = false;
    for (const WaitSet::Key ready : set_.wait(left)) {
      control |= ready == control_key;
      packets |= ready == packets_key;
      other |= ready == other_key;
    }
    if (control) context_.poll(0ms);
    if (packets) return changes == changes_;
    if (other || left == 0ns) return false;
  }
  return false;
}

void Session::pause(std::chrono::nanoseconds duration) {
  context_.poll(0ms);
  const timespec nap = until_timeout(Clock::now() + duration);
  ::nanosleep(&nap, nullptr);
}

void Session::linger() {
  const auto until = Clock::now() + 20ms;
  while (!stopped() && Clock::now() < until) pause(1ms);
}

}  // namespace memif::tool
