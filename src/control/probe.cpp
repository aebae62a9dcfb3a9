// Asking a listener what it is, without taking an interface. Its greeting is only looked at: to leave it unread in the
// channel harms nobody, at whatever moment. To leave before it has come does. docs/protocol.md, "Leaving".
#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <poll.h>
#include <unistd.h>

#include <memif/context.hpp>

#include "protocol/address.hpp"
#include "protocol/channel.hpp"
#include "protocol/message.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;

// A channel that is on its way to a greeting.
struct Visit {
  std::string listener;
  Channel channel;
  pid_t process = ::getpid();
};

// Those whose time was over before, for as long as the process lives or until the next probe finds them greeted. From
// any thread; a child of fork() has copies, which are not its own.
class Kept {
 public:
  // One to that listener, if there is any. Those that may go by now, go.
  std::unique_ptr<Visit> take(const std::string& listener) noexcept {
    std::unique_ptr<Visit> found;
    for (std::atomic<Visit*>& place : places_) {
      std::unique_ptr<Visit> visit(place.exchange(nullptr, std::memory_order_acq_rel));
      if (visit == nullptr || visit->process != ::getpid() || visit->channel.readable()) continue;
      if (found == nullptr && !listener.empty() && visit->listener == listener)
        found = std::move(visit);
      else
        keep(std::move(visit));
    }
    return found;
  }

  // With very many listeners that greet nobody, there is no room for more.
  void keep(std::unique_ptr<Visit> visit) noexcept {
    for (std::atomic<Visit*>& place : places_) {
      Visit* none = nullptr;
      if (!place.compare_exchange_strong(none, visit.get(), std::memory_order_acq_rel)) continue;
      static_cast<void>(visit.release());
      return;
    }
  }

 private:
  std::array<std::atomic<Visit*>, 64> places_{};
};

constinit Kept kept;

Clock::time_point from_now(std::chrono::milliseconds timeout) {
  const Clock::time_point now = Clock::now();
  const auto room = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::time_point::max() - now);
  return timeout >= 0ms && timeout < room ? now + timeout : Clock::time_point::max();
}

// False when the time is over.
bool await_something(const Channel& channel, Clock::time_point until) noexcept {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::max(until - Clock::now(), Clock::duration(0)));
    pollfd wait{.fd = channel.fd(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(std::min(left, std::chrono::milliseconds(1000)).count())) > 0) return true;
    if (Clock::now() >= until) return false;
  }
}

// Leaves when it may. Most listeners that are late are a moment late.
struct Leave {
  void operator()(Visit* visit) const noexcept {
    std::unique_ptr<Visit> owned(visit);
    if (!await_something(owned->channel, Clock::now() + 500ms)) kept.keep(std::move(owned));
  }
};

Result<std::unique_ptr<Visit, Leave>> begin_visit(const Address& address) {
  std::string listener = listener_at(address);
  if (std::unique_ptr<Visit> before = kept.take(listener)) return std::unique_ptr<Visit, Leave>(before.release());
  // Once there is a connection, nothing may fail.
  auto visit = std::make_unique<Visit>(Visit{std::move(listener), Channel(Fd())});
  Result<Fd> connected = connect_to(address);
  if (!connected) return connected.error();
  visit->channel = Channel(std::move(*connected));
  return std::unique_ptr<Visit, Leave>(visit.release());
}

}  // namespace

Result<ListenerInfo> probe(const std::string& socket, std::chrono::milliseconds timeout) {
  const Result<Address> address = parse_address(socket);
  if (!address) return address.error();
  const auto datagram = std::make_unique<Datagram>();
  const auto visited = begin_visit(*address);
  if (!visited) return visited.error();
  Channel& channel = (*visited)->channel;
  const Clock::time_point deadline = from_now(timeout);

  for (;;) {
    const Result<Channel::Receive> received = channel.look(*datagram);
    if (!received) return received.error();
    if (*received == Channel::Receive::message) break;
    if (*received == Channel::Receive::closed)
      return Error{Errc::peer_gone, address->text + ": the listener closed the connection without a word"};
    if (!await_something(channel, deadline))
      return Error{Errc::timed_out, address->text + ": the listener said nothing in " +
                                        std::to_string(timeout.count()) + " ms (is its program stopped?)"};
  }

  const auto message = message::parse(std::span(datagram->bytes).first(std::min(datagram->length, message::size)));
  if (!message) return message.error();
  if (const auto* refusal = std::get_if<message::Disconnect>(&*message))
    return Error{Errc::peer_refused, address->text + ": " + refusal->text};
  const auto* hello = std::get_if<message::Hello>(&*message);
  if (hello == nullptr)
    return Error{Errc::unexpected_message,
                 address->text + ": " + message::name(*message) + " where HELLO should be; not a memif listener?"};
  const Result<Credentials> peer = channel.credentials();
  return ListenerInfo{.app_name = hello->name,
                      .min_version = hello->min_version,
                      .max_version = hello->max_version,
                      .max_regions = hello->max_region + 1u,
                      .max_s2m_rings = hello->max_s2m_ring + 1u,
                      .max_m2s_rings = hello->max_m2s_ring + 1u,
                      .max_ring_size = 1u << std::min<unsigned>(hello->max_log2_ring_size, 31),
                      .credentials = peer ? *peer : Credentials{}};
}

}  // namespace memif
