// Asking a listener what it is, without taking an interface. Its greeting is only looked at: to leave it unread in the
// channel harms nobody, at whatever moment. docs/protocol.md, "Leaving".
#include <algorithm>
#include <memory>
#include <poll.h>

#include <memif/context.hpp>

#include "protocol/address.hpp"
#include "protocol/channel.hpp"
#include "protocol/message.hpp"

namespace memif {

Result<ListenerInfo> probe(const std::string& socket, std::chrono::milliseconds timeout) {
  const Result<Address> address = parse_address(socket);
  if (!address) return address.error();
  Result<Fd> connected = connect_to(*address);
  if (!connected) return connected.error();
  Channel channel(std::move(*connected));
  const auto datagram = std::make_unique<Datagram>();
  const Clock::time_point deadline = Clock::now() + timeout;

  for (;;) {
    const Result<Channel::Receive> received = channel.look(*datagram);
    if (!received) return received.error();
    if (*received == Channel::Receive::message) break;
    if (*received == Channel::Receive::closed)
      return Error{Errc::peer_gone, address->text + ": the listener closed the connection without a word"};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0)
      return Error{Errc::timed_out, address->text + ": the listener said nothing in " +
                                        std::to_string(timeout.count()) + " ms (is its program stopped?)"};
    pollfd wait{.fd = channel.fd(), .events = POLLIN, .revents = 0};
    static_cast<void>(::poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left.count() + 1, 1000))));
  }

  const auto message = message::parse(std::span(datagram->bytes).first(std::min(datagram->length, message_bytes)));
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
