#include "control/listener.hpp"

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "base/out_of_memory.hpp"
#include "control/context_impl.hpp"

namespace memif::detail {
namespace {

constexpr int accepts_per_turn = 16;  // so that a flood of connections leaves time for those that are there
constexpr auto first_rest = std::chrono::milliseconds(100);
constexpr auto longest_rest = std::chrono::milliseconds(1600);

bool says(const std::error_code& code, std::initializer_list<int> errors) {
  return code.category() == std::system_category() &&
         std::find(errors.begin(), errors.end(), code.value()) != errors.end();
}

// The next connection may be another matter: the client of this one has gone, or a signal came.
bool passes(const std::error_code& code) { return says(code, {ECONNABORTED, EINTR, EPROTO}); }

// Whose fault it is that nobody gets in, for those who wait on either side.
Reason accept_words(const Error& error) {
  std::string text = "cannot accept connections: ";
  if (says(error.code, {EMFILE}))
    text += "this process has as many files open as it may (RLIMIT_NOFILE)";
  else if (says(error.code, {ENFILE}))
    text += "this machine has as many files open as it may (fs.file-max)";
  else if (says(error.code, {EPERM, EACCES, ENOSYS}))
    text += error.code.message() + " (is accept4 kept from this process by a sandbox?)";
  else
    text += error.code.message();
  return {error.code, false, std::move(text)};
}

}  // namespace

Listener::Listener(ContextImpl& context, Address address, ListenSocket socket, bool adopted)
    : context_(context),
      address_(std::move(address)),
      socket_(std::move(socket)),
      adopted_(adopted),
      rest_(first_rest),
      resume_(context.reactor(), [this] { resume(); }) {}

// Closing the socket closes the connections that nobody accepted, and all that is in them: if there are any, that is
// not done here. Of a socket that is another process's as well nobody knows, since that one may go on listening.
void Listener::close() noexcept {
  if (std::exchange(closed_, true)) return;
  resume_.set(std::nullopt);
  if (watched_) context_.reactor().unwatch(socket_.fd());
  if (context_.reactor().abandoned()) return;
  const bool clear = !adopted_ && clear_backlog();
  Fd socket = socket_.end();
  if (!clear) const SharedFd elsewhere(std::move(socket));
}

// True: nobody waits any more, nor can come.
bool Listener::clear_backlog() noexcept try {
  ::shutdown(socket_.fd(), SHUT_RD);
  while (!deferred::full()) {
    Result<Fd> left = socket_.accept();
    if (!left) return says(left.error().code, {EAGAIN, EINVAL});  // EINVAL: none, of a socket that is shut
    Channel(std::move(*left));
  }
  return false;
} catch (const std::bad_alloc&) {
  return false;
}

Status Listener::start() {
  Status status = context_.reactor().watch(socket_.fd(), event_read, *this);
  watched_ = status.ok();
  return status;
}

void Listener::on_ready() try {
  if (deferred::full()) return rest({Errc::fds_not_closed, false, deferred::no_room().message});
  for (int i = 0; i < accepts_per_turn && !closed_; ++i) {
    Result<Fd> socket = socket_.accept();
    const std::error_code code = socket ? std::error_code() : socket.error().code;
    if (passes(code)) continue;
    const bool none = says(code, {EAGAIN});
    if (!socket && !none) {
      rest(accept_words(socket.error()));
      if (says(code, {EMFILE})) evict();
      return;
    }
    recovered();
    if (none) return;
    accept_one(Channel(std::move(*socket)));
  }
} catch (const std::bad_alloc&) {
  rest({out_of_memory().code, false, out_of_memory_words});
}

void Listener::accept_one(Channel channel) {
  ++stats_.accepted;
  if (unidentified_.size() >= context_.config().max_unidentified_connections) evict();
  if (closed_) return;  // by whoever was told of that
  auto owned = std::make_unique<ServerConnection>(context_, *this, std::move(channel));
  ServerConnection& connection = *owned;
  connections_.emplace(&connection, std::move(owned));
  unidentified_.splice(unidentified_.end(), connection.unidentified);
  connection.start();
}

// Connections that say nothing must not keep others out, also where there are fewer descriptors than such connections
// are allowed.
void Listener::evict() {
  if (unidentified_.empty()) return;
  ++stats_.evicted;
  unidentified_.front()->disconnect(Errc::evicted, "dropped for newer connections: nothing was said on this one");
}

// Whatever is in the way, the backlog stays readable, so that listening to it would spin. What was told once is not
// told again.
void Listener::rest(Reason why) {
  ++stats_.failed_accepts;
  watch(0);
  resume_.set(Clock::now() + rest_);
  rest_ = std::min<Clock::duration>(2 * rest_, longest_rest);
  if (stats_.trouble && stats_.trouble->code == why.code) return;
  stats_.trouble = std::move(why);
  for (const auto& [id, interface] : interfaces_) interface->blocked(*stats_.trouble);
  context_.log(LogLevel::warning, address_.text, ": ", stats_.trouble->text, "; trying again");
}

void Listener::recovered() {
  rest_ = first_rest;
  if (!stats_.trouble) return;
  for (const auto& [id, interface] : interfaces_) interface->unblocked(*stats_.trouble);
  stats_.trouble.reset();
  context_.log(LogLevel::info, address_.text, ": accepting connections again");
}

// Watching again may be what cannot be had now.
void Listener::resume() {
  if (!watch(event_read)) resume_.set(Clock::now() + first_rest);
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
  if (stats_.trouble) interface.blocked(*stats_.trouble);
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

void Listener::identified(ServerConnection& connection) noexcept {
  if (connection.unidentified.empty())
    connection.unidentified.splice(connection.unidentified.end(), unidentified_, connection.unidentified_place);
}

std::unique_ptr<Connection> Listener::take(ServerConnection& connection) noexcept {
  identified(connection);
  const auto found = connections_.find(&connection);
  std::unique_ptr<Connection> owned = std::move(found->second);
  connections_.erase(found);
  return owned;
}

// It leaves a descriptor, which is what accept() may have lacked: one more try for each that ends. If those that came
// with it found no room, they will when it comes again.
void Listener::refused(const Reason& reason) {
  ++stats_.refused;
  stats_.last_refusal = copy_of(reason);
  if (!closed_ && stats_.trouble && says(stats_.trouble->code, {EMFILE})) resume_.set(Clock::now());
  if (says(reason.code, {EMFILE})) evict();
  context_.log(LogLevel::info, address_.text, ": connection ended: ", reason.text);
}

void Listener::end_all(const char* why) {
  while (!connections_.empty()) connections_.begin()->second->disconnect(Errc::closed, why);
}

}  // namespace memif::detail
