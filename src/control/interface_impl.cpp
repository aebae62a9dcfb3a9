#include "control/interface_impl.hpp"

#include <new>
#include <optional>
#include <string>
#include <utility>

#include "base/out_of_memory.hpp"
#include "control/client_connection.hpp"
#include "control/context_impl.hpp"

namespace memif::detail {
namespace {

constexpr auto now_and_then = std::chrono::minutes(1);

// Nobody can look at an interface that cannot publish, but it works.
std::optional<Publication> make_publication(const ContextImpl& context, const InterfaceConfig& config) {
  if (!context.config().publish) return std::nullopt;
  Result<Publication> made = Publication::create(context.config().app_name, config);
  if (made) return std::move(*made);
  context.log(LogLevel::warning, config.name + ": not published: " + made.error().message);
  return std::nullopt;
}

}  // namespace

InterfaceImpl::InterfaceImpl(ContextImpl& context, InterfaceConfig config, Address address)
    : context_(context),
      config_(std::move(config)),
      address_(std::move(address)),
      queues_(std::make_shared<Queues>(config_, make_publication(context, config_),
                                       [waker = context.waker()] { waker->wake(waker->alarm); })),
      waits_(context.waits(), config_, *queues_),
      reconnect_(context.reactor(), [this] { connect(); }),
      backoff_(config_.reconnect),
      rings_(all_rings()) {
  face_.impl_ = this;
  queues_->set_waits(&waits_);
  publish();
}

InterfaceImpl::~InterfaceImpl() = default;

void InterfaceImpl::connect() { static_cast<void>(try_connect()); }

Status InterfaceImpl::try_connect() {
  if (is_server() || closing_) return Nothing{};
  if (connection_ != nullptr) return Error{Errc::already_connected, config_.name + ": connected or connecting"};
  reconnect_.set(std::nullopt);
  Status begun = begin_connection();
  if (begun) return begun;
  const Reason reason{begun.error().code, false, std::move(begun.error().message)};
  note(reason, nullptr);
  context_.log(LogLevel::debug, config_.name, ": ", reason.text);
  retry();
  return Error{reason.code, copy_of(reason).text};
}

// Not while too much of this server's is still being closed; but now and then, since another may have taken its place.
bool InterfaceImpl::may_connect() noexcept {
  if (deferred::full()) return false;
  const Clock::time_point now = Clock::now();
  if (deferred::overloaded(server_) && now < next_attempt_) return false;
  next_attempt_ = now + now_and_then;
  return true;
}

// A channel on which the server has not greeted yet is used again: to wait there for it is the same, and each that is
// left before may be one too many (docs/protocol.md, "Leaving"). The connection may be over when this returns.
Status InterfaceImpl::begin_connection() try {
  if (!may_connect()) return deferred::no_room();
  std::string listener = listener_at(address_);
  auto owned = std::make_unique<ClientConnection>(context_, *this, rings_, listener);
  std::optional<Channel> channel = context_.ungreeted_channel(listener);
  if (!channel) {
    Result<Fd> socket = connect_to(address_);
    if (!socket) return std::move(socket.error());
    channel.emplace(std::move(*socket));
  }
  ClientConnection& connection = *owned;
  connection_ = std::move(owned);
  connection.start(std::move(*channel));
  if (const Result<Credentials> server = connection.credentials()) server_ = server->uid;
  return Nothing{};
} catch (const std::bad_alloc&) {
  return out_of_memory();
}

void InterfaceImpl::retry() noexcept {
  if (!is_server() && !closing_) reconnect_.set(backoff_.next(Clock::now()));
}

void InterfaceImpl::disconnect(const std::string& why) {
  if (connection_ == nullptr) return;
  backoff_.put_off();
  connection_->disconnect(Errc::closed, why);
}

void InterfaceImpl::shut_down() {
  closing_ = true;
  reconnect_.set(std::nullopt);
  if (context_.reactor().abandoned()) return abandon();
  if (connection_ != nullptr) connection_->disconnect(Errc::closed, "interface removed");
  queues_->set_link(nullptr);
  if (Publication* const publication = queues_->publication()) publication->withdraw();
  queues_->set_waits(nullptr);
  waits_.close();
}

// In a child of fork(). Its parent's threads may have been anywhere in its queues, and locks that they held stay locked
// in this copy: it is never touched again, nor freed.
void InterfaceImpl::abandon() noexcept {
  waits_.forget();
  if (connection_ != nullptr) context_.reactor().free_later(std::move(connection_));
  static_cast<void>(new (std::nothrow) std::shared_ptr<Queues>(queues_));
}

void InterfaceImpl::admitted(std::unique_ptr<Connection> connection) { connection_ = std::move(connection); }

void InterfaceImpl::came_up(std::shared_ptr<Link> link, PeerInfo peer) {
  backoff_.came_up(Clock::now());
  rings_ = all_rings();
  context_.log(LogLevel::info, config_.name, ": connected to ", peer.app_name, " (", peer.interface_name, ")");
  {
    const std::lock_guard lock(mutex_);
    ++info_.connects;
    info_.connected = true;
    info_.peer = std::move(peer);
  }
  probe_connect(queues_.get(), config_.name.c_str(), config_.id, info_.peer->credentials.pid);
  queues_->set_link(std::move(link));
  publish();
  if (config_.on_connected) config_.on_connected(face_);
  waits_.link_changed(true);
}

void InterfaceImpl::ended(const Reason& reason, bool was_up) {
  if (connection_ != nullptr) context_.see_off(std::move(connection_));
  // Kept until the callback has returned: it can still stop watching the link's descriptors.
  const std::shared_ptr<Link> last = queues_->link();
  queues_->set_link(nullptr);
  note(reason, was_up ? &InterfaceInfo::disconnects : &InterfaceInfo::refusals);
  context_.log(LogLevel::info, config_.name, was_up ? ": disconnected: " : ": not connected: ", reason.text);
  probe_disconnect(queues_.get(), config_.name.c_str(), reason.text.c_str(), was_up);
  if (was_up && reason.code != Errc::closed)
    backoff_.lost(Clock::now());
  else
    backoff_.refused();
  retry();
  if (closing_) return;
  const auto& told = was_up ? config_.on_disconnected : config_.on_refused;
  if (told) told(face_, reason);
  if (was_up) waits_.link_changed(false);
}

void InterfaceImpl::refused(const Reason& reason) {
  {
    const std::lock_guard lock(mutex_);
    ++info_.refusals;
    if (!info_.connected) info_.last_reason = copy_of(reason);
  }
  publish();
  if (config_.on_refused) config_.on_refused(face_, reason);
}

// Each direction is settled once before a link: a server that refuses more and more rings is just a server that
// refuses.
bool InterfaceImpl::settles_for(handshake::RingCounts fewer, const Reason& reason) {
  const handshake::RingCounts all = all_rings();
  const bool settled_before =
      (fewer.s2m != rings_.s2m && rings_.s2m != all.s2m) || (fewer.m2s != rings_.m2s && rings_.m2s != all.m2s);
  rings_ = settled_before ? all : fewer;
  if (settled_before || closing_) return false;
  context_.log(LogLevel::info, config_.name, ": the server says: ", reason.text, "; asking for ",
               std::to_string(fewer.s2m), " rings to it and ", std::to_string(fewer.m2s), " from it");
  context_.see_off(std::move(connection_));
  reconnect_.set(Clock::now() + Backoff::first);
  return true;
}

void InterfaceImpl::blocked(const Reason& reason) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (!info_.connected) info_.last_reason = copy_of(reason);
  }
  publish();
}

void InterfaceImpl::unblocked(const Reason& reason) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (info_.last_reason && info_.last_reason->code == reason.code) info_.last_reason.reset();
  }
  publish();
}

void InterfaceImpl::note(const Reason& reason, std::uint64_t InterfaceInfo::*counter) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (counter != nullptr) ++(info_.*counter);
    info_.connected = false;
    info_.peer.reset();
    info_.last_reason = copy_of(reason);
  }
  publish();
}

// What has changed, for observers. Short of memory, they see it with the next change.
void InterfaceImpl::publish() const noexcept try {
  if (Publication* const publication = queues_->publication()) publication->update(info());
} catch (const std::bad_alloc&) {
}

bool InterfaceImpl::check_queues() {
  if (connection_ == nullptr) return false;
  const auto report = queues_->take_report();
  if (report) connection_->disconnect(report->code, report->what);
  return report.has_value();
}

InterfaceInfo InterfaceImpl::info() const {
  InterfaceInfo info;
  {
    const std::lock_guard lock(mutex_);
    info = info_;
  }
  const std::shared_ptr<Link> link = queues_->link();
  if (link == nullptr) return info;
  link->prepare_thread();
  for (const Region& region : link->regions)
    info.regions.push_back({.index = static_cast<std::uint16_t>(info.regions.size()),
                            .size = region.size(),
                            .address = region.data(),
                            .fd = region.fd(),
                            .external = region.external(),
                            .sealed = region.sealed()});
  const auto describe = [&](const LinkRing& ring) {
    const RingSnapshot now = snapshot(*ring.header);
    return RingInfo{.queue = ring.spec.index,
                    .ring_size = 1u << ring.spec.log2_size,
                    .buffer_size = link->buffer_size,
                    .region = ring.spec.region,
                    .offset = ring.spec.offset,
                    .head = now.head,
                    .tail = now.tail,
                    .flags = now.flags,
                    .event_fd = ring.interrupt.get()};
  };
  for (const LinkRing& ring : link->rx) info.rx.push_back(describe(ring));
  for (const LinkRing& ring : link->tx) info.tx.push_back(describe(ring));
  return info;
}

}  // namespace memif::detail
