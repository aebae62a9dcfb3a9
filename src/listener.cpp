#include "listener.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "context_impl.hpp"
#include "shortage.hpp"

namespace memif::detail {
namespace {

constexpr int accepts_per_turn = 16;  // so that a flood of connections leaves time for those that are there
constexpr auto accept_pause = std::chrono::milliseconds(100);
constexpr const char* shortage = "no descriptors or memory left";

bool is_shortage(const std::error_code& code) {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM})
    if (code == std::error_code(error, std::system_category())) return true;
  return false;
}

}  // namespace

Listener::Listener(ContextImpl& context, Address address, ListenSocket socket, bool adopted)
    : context_(context),
      address_(std::move(address)),
      socket_(std::move(socket)),
      adopted_(adopted),
      resume_(context.reactor(), [this] { resume(); }) {}

Listener::~Listener() {
  if (watched_) context_.reactor().unwatch(socket_.fd());
  if (!context_.reactor().abandoned()) clear_backlog();
}

// Closing the socket closes the connections that nobody accepted, and all that is in them. So none are left; of a
// socket that is another process's as well, one more descriptor is closed last, elsewhere: that one may go on
// listening.
void Listener::clear_backlog() noexcept {
  if (adopted_) {
    const SharedFd last(Fd(::fcntl(socket_.fd(), F_DUPFD_CLOEXEC, 0)));
    return;
  }
  ::shutdown(socket_.fd(), SHUT_RD);
  try {
    while (Result<Fd> left = socket_.accept()) Channel(std::move(*left));
  } catch (const std::bad_alloc&) {
  }
}

Status Listener::start() {
  Status status = context_.reactor().watch(socket_.fd(), event_read, *this);
  watched_ = status.ok();
  return status;
}

void Listener::on_ready() try {
  if (deferred::full()) return pause("too many descriptors that peers have sent are still being closed");
  for (int i = 0; i < accepts_per_turn; ++i) {
    Result<Fd> socket = socket_.accept();
    if (socket) {
      accept_one(Channel(std::move(*socket)));
    } else if (is_shortage(socket.error().code)) {
      pause(shortage);
      return;
    } else if (socket.error().code != std::errc::connection_aborted && socket.error().code != std::errc::interrupted) {
      return;
    }
  }
} catch (const std::bad_alloc&) {
  pause(shortage);
}

void Listener::accept_one(Channel channel) {
  ++stats_.accepted;
  if (silent_.size() >= context_.config().max_silent_connections && !silent_.empty()) {
    ++stats_.evicted;
    silent_.front()->disconnect(Errc::evicted, "dropped for newer connections: nothing was said on this one");
  }
  auto owned = std::make_unique<ServerConnection>(context_, *this, std::move(channel));
  ServerConnection& connection = *owned;
  connections_.emplace(&connection, std::move(owned));
  silent_.splice(silent_.end(), connection.silence);
  connection.start();
}

// The backlog stays readable, so listening to it would spin.
void Listener::pause(const char* why) {
  resume_.set(Clock::now() + accept_pause);
  context_.log(LogLevel::warning, address_.text, ": ", why, ": no connection is accepted for now");
  watch(0);
}

// Watching again may be what cannot be had now.
void Listener::resume() {
  if (!watch(event_read)) resume_.set(Clock::now() + accept_pause);
}

bool Listener::watch(unsigned events) noexcept {
  try {
    return context_.reactor().rewatch(socket_.fd(), events).ok();
  } catch (const std::bad_alloc&) {
    return false;
  }
}

InterfaceImpl* Listener::find(std::uint32_t id) const noexcept {
  const auto found = interfaces_.find(id);
  return found != interfaces_.end() ? found->second : nullptr;
}

void Listener::add(std::uint32_t id, InterfaceImpl& interface) {
  interfaces_.emplace(id, &interface);
  if (identity_) widen(*identity_, interface.config());
}

void Listener::remove(std::uint32_t id) noexcept {
  interfaces_.erase(id);
  identity_.reset();
}

void Listener::widen(handshake::ServerIdentity& identity, const InterfaceConfig& config) {
  identity.timeout = std::max(identity.timeout, config.handshake_timeout);
}

// Gathered once for as many connections as come before an interface goes: their time must not grow with the number of
// interfaces.
const handshake::ServerIdentity& Listener::identity() {
  if (identity_) return *identity_;
  handshake::ServerIdentity gathered;
  gathered.app_name = context_.config().app_name;
  gathered.max_region = wire::max_regions - 1;
  gathered.max_m2s_ring = gathered.max_s2m_ring = wire::max_rings - 1;
  gathered.max_log2_ring_size = wire::max_log2_ring_size;
  for (const auto& [id, interface] : interfaces_) widen(gathered, interface->config());
  return identity_.emplace(std::move(gathered));
}

void Listener::spoken(ServerConnection& connection) noexcept {
  if (connection.silence.empty()) connection.silence.splice(connection.silence.end(), silent_, connection.silent_place);
}

std::unique_ptr<Connection> Listener::take(ServerConnection& connection) noexcept {
  spoken(connection);
  const auto found = connections_.find(&connection);
  std::unique_ptr<Connection> owned = std::move(found->second);
  connections_.erase(found);
  return owned;
}

void Listener::refused(const Reason& reason) {
  ++stats_.refused;
  stats_.last_refusal = copy_of(reason);
  context_.log(LogLevel::info, address_.text, ": connection ended: ", reason.text);
}

void Listener::end_all(const char* why) {
  while (!connections_.empty()) connections_.begin()->second->disconnect(Errc::closed, why);
}

}  // namespace memif::detail
