#include <algorithm>
#include <poll.h>
#include <stdexcept>
#include <utility>

#include <memif/context.hpp>

#include "base/out_of_memory.hpp"
#include "control/context_impl.hpp"
#include "memory/interrupt.hpp"

namespace memif {
namespace detail {
namespace {

// The application's loop, or else one of our own.
EventLoop& choose_loop(const ContextConfig& config, std::unique_ptr<EpollLoop>& own) {
  if (config.loop != nullptr) return *config.loop;
  own = EpollLoop::create().value();
  return *own;
}

std::shared_ptr<Waker> make_waker() {
  auto waker = std::make_shared<Waker>();
  waker->event = make_interrupt().value();
  return waker;
}

}  // namespace

ContextImpl::ContextImpl(ContextConfig config)
    : config_(std::move(config)), reactor_(choose_loop(config_, own_loop_)), waker_(make_waker()) {
  if (config_.app_name.size() > message::name_size)
    throw Exception({Errc::invalid_config, "app_name \"" + config_.app_name + "\": longer than 32 bytes"});
  std::move(reactor_.watch(waker_->event.get(), event_read, *this)).value();
}

ContextImpl::~ContextImpl() {
  const Reactor::Scope scope(reactor_);
  abandon_if_inherited();
  while (!interfaces_.empty()) remove(*interfaces_.begin()->first);
  await_greetings();
  for (auto& [address, listener] : listeners_) listener->end_all("the listener is going");
  listeners_.clear();
  reactor_.unwatch(waker_->event.get());
}

Result<InterfaceImpl*> ContextImpl::add(InterfaceConfig config) {
  const Reactor::Scope scope(reactor_);
  try {
    return try_add(std::move(config));
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
}

Result<InterfaceImpl*> ContextImpl::try_add(InterfaceConfig config) {
  if (Status valid = validate(config); !valid) return valid.error();
  Result<Address> address = parse_address(config.socket);
  if (!address) return address.error();
  if (config.name.empty()) config.name = unused_name(config.id);

  *address = anchored(std::move(*address));
  auto owned = std::make_unique<InterfaceImpl>(*this, std::move(config), *address);
  InterfaceImpl& interface = *owned;
  if (interface.is_server()) {
    Result<Listener*> listener = open_listener(*address, interface.config().socket_file);
    if (!listener) return listener.error();
    if ((*listener)->find(interface.config().id) != nullptr)
      return Error{Errc::invalid_config, "id " + std::to_string(interface.config().id) +
                                             ": there is an interface of that id on " + address->text};
  }
  try {
    interfaces_.emplace(&interface, std::move(owned));
    if (interface.is_server()) listener(*address)->add(interface.config().id, interface);
  } catch (const std::bad_alloc&) {
    interfaces_.erase(&interface);
    close_if_idle(*address);
    throw;
  }
  interface.connect();
  return &interface;
}

// So that two on different sockets can be told apart.
std::string ContextImpl::unused_name(std::uint32_t id) const {
  const auto used = [this](const std::string& name) {
    return std::any_of(interfaces_.begin(), interfaces_.end(),
                       [&](const auto& entry) { return entry.first->config().name == name; });
  };
  std::string name = "memif/" + std::to_string(id);
  for (unsigned n = 1; used(name); ++n) name = "memif" + std::to_string(n) + "/" + std::to_string(id);
  return name;
}

void ContextImpl::remove(InterfaceImpl& interface) noexcept {
  const auto found = interfaces_.find(&interface);
  if (found == interfaces_.end()) return;
  const Reactor::Scope scope(reactor_);
  abandon_if_inherited();
  std::unique_ptr<InterfaceImpl> owned = std::move(found->second);
  interfaces_.erase(found);
  if (interface.is_server())
    if (Listener* on = listener(interface.address())) on->remove(interface.config().id);
  interface.shut_down();
  if (interface.is_server()) close_if_idle(interface.address());
  reactor_.free_later(std::move(owned));
}

// A child of fork() that cleans up says nothing to its parent's peers, and leaves the parent's timer alone.
void ContextImpl::abandon_if_inherited() noexcept {
  if (process_ != ::getpid()) reactor_.abandon();
}

Listener* ContextImpl::listener(const Address& address) const noexcept {
  const auto found = listeners_.find(address.key);
  return found != listeners_.end() ? found->second.get() : nullptr;
}

Result<Listener*> ContextImpl::open_listener(const Address& address, const SocketFile& file) {
  if (Listener* existing = listener(address)) return existing;
  Result<ListenSocket> socket = ListenSocket::open(address, file);
  if (!socket) return socket.error();
  return start_listener(address, std::move(*socket), false);
}

Result<Listener*> ContextImpl::start_listener(const Address& address, ListenSocket socket, bool adopted) {
  auto owned = std::make_unique<Listener>(*this, address, std::move(socket), adopted);
  if (Status started = owned->start(); !started) return started.error();
  return (listeners_[address.key] = std::move(owned)).get();
}

Status ContextImpl::adopt_listener(const std::string& socket, Fd fd) {
  const Reactor::Scope scope(reactor_);
  Result<Address> address = parse_address(socket);
  if (!address) return address.error();
  if (listener(*address) != nullptr)
    return Error{Errc::address_in_use, address->text + ": this context listens there already"};
  Result<ListenSocket> adopted = ListenSocket::adopt(*address, std::move(fd));
  if (!adopted) return adopted.error();
  Result<Listener*> started = start_listener(*address, std::move(*adopted), true);
  if (!started) return started.error();
  return Nothing{};
}

void ContextImpl::close_if_idle(const Address& address) noexcept {
  const auto found = listeners_.find(address.key);
  if (found == listeners_.end() || !found->second->idle()) return;
  found->second->end_all("no interface is left on this socket");
  found->second->close();
  reactor_.free_later(std::move(found->second));
  listeners_.erase(found);
}

void ContextImpl::see_off(std::unique_ptr<Connection> connection) noexcept {
  if (!connection->lingers()) return reactor_.free_later(std::move(connection));
  Connection& one = *connection;
  *one.lingering_place = std::move(connection);
  lingering_.splice(lingering_.end(), one.lingering);
}

void ContextImpl::see_off_greeted(Connection& connection) noexcept {
  std::unique_ptr<Connection> owned = std::move(*connection.lingering_place);
  lingering_.erase(connection.lingering_place);
  reactor_.free_later(std::move(owned));
}

std::optional<Channel> ContextImpl::ungreeted_channel(const std::string& listener_id) noexcept {
  if (listener_id.empty()) return std::nullopt;
  for (const auto& one : lingering_) {
    if (one->listener_id() != listener_id || !one->lingers()) continue;
    Channel channel = one->give_channel();
    see_off_greeted(*one);
    return channel;
  }
  return std::nullopt;
}

// The one place that waits. Nearly all servers greet at once, and some are harmed by who leaves before.
void ContextImpl::await_greetings() noexcept {
  constexpr auto patience = std::chrono::milliseconds(500);
  const auto waiting = [this] {
    return std::any_of(lingering_.begin(), lingering_.end(), [](const auto& one) { return one->lingers(); });
  };
  const Clock::time_point until = Clock::now() + patience;
  while (!reactor_.abandoned() && waiting() && Clock::now() < until) ::poll(nullptr, 0, 1);
}

PollResult ContextImpl::poll(std::chrono::milliseconds timeout) {
  if (own_loop_ == nullptr) throw std::logic_error("memif::Context::poll: this context lives in the user's loop");
  const Reactor::Scope scope(reactor_);
  const Waits::Spinning spinning(waits_, timeout != std::chrono::milliseconds::zero());
  const bool handled = waits_.any_hot() ? waits_.poll(timeout) : run_once(timeout);
  if (waker_->woken.exchange(false, std::memory_order_acquire)) return PollResult::woken;
  return handled ? PollResult::handled : PollResult::timed_out;
}

bool ContextImpl::run_once(std::chrono::milliseconds timeout) {
  return own_loop_->run_once(
      timeout, [this](int fd) { reactor_.handle(fd); }, [this] { reactor_.handle_timer(); });
}

void ContextImpl::on_ready() {
  drain_interrupt(waker_->event.get());
  if (waker_->stop.exchange(false, std::memory_order_acquire)) waits_.check_stops();
  if (!waker_->alarm.exchange(false, std::memory_order_acquire)) return;
  // A callback may add and remove interfaces, so each that was in trouble ends the walk.
  const auto trouble = [](const auto& entry) { return entry.first->check_queues(); };
  while (std::any_of(interfaces_.begin(), interfaces_.end(), trouble)) {
  }
}

}  // namespace detail

using detail::Reactor;

const InterfaceConfig& Interface::config() const noexcept { return impl_->config(); }
bool Interface::connected() const noexcept { return impl_->queues()->connected(); }
RxQueue& Interface::rx(std::size_t index) { return impl_->queues()->rx(index); }
TxQueue& Interface::tx(std::size_t index) { return impl_->queues()->tx(index); }
std::size_t Interface::rx_rings() const noexcept { return impl_->queues()->rx_rings(); }
std::size_t Interface::tx_rings() const noexcept { return impl_->queues()->tx_rings(); }
std::shared_ptr<RxQueue> Interface::share_rx(std::size_t index) { return {impl_->queues(), &rx(index)}; }
std::shared_ptr<TxQueue> Interface::share_tx(std::size_t index) { return {impl_->queues(), &tx(index)}; }
InterfaceInfo Interface::info() const { return impl_->info(); }

void Interface::connect() {
  const Reactor::Scope scope(impl_->context().reactor());
  impl_->connect();
}

Status Interface::try_connect() {
  const Reactor::Scope scope(impl_->context().reactor());
  return impl_->try_connect();
}

void Interface::disconnect(const std::string& why) {
  const Reactor::Scope scope(impl_->context().reactor());
  impl_->disconnect(why);
}

Context::Context(ContextConfig config) : impl_(std::make_shared<detail::ContextImpl>(std::move(config))) {}
Context::~Context() = default;
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;

Interface& Context::add(InterfaceConfig config) { return *try_add(std::move(config)).value(); }

Result<Interface*> Context::try_add(InterfaceConfig config) {
  Result<detail::InterfaceImpl*> added = impl_->add(std::move(config));
  if (!added) return added.error();
  return &(*added)->face();
}

// A coroutine that is resumed by this may destroy the context.
void Context::remove(Interface& interface) noexcept {
  const std::shared_ptr<detail::ContextImpl> kept = impl_;
  kept->remove(*interface.impl_);
}

Status Context::adopt_listener(const std::string& socket, Fd listening) {
  return impl_->adopt_listener(socket, std::move(listening));
}

int Context::listener_fd(const std::string& socket) const noexcept try {
  const Result<Address> address = parse_address(socket);
  const detail::Listener* const listener = address ? impl_->listener(*address) : nullptr;
  return listener != nullptr ? listener->fd() : -1;
} catch (const std::bad_alloc&) {
  return -1;
}

std::optional<ListenerStats> Context::listener_stats(const std::string& socket) const {
  const Result<Address> address = parse_address(socket);
  const detail::Listener* const listener = address ? impl_->listener(*address) : nullptr;
  if (listener == nullptr) return std::nullopt;
  return listener->stats();
}

// The copies keep a context alive that one of its callbacks destroys.
PollResult Context::poll(std::chrono::milliseconds timeout) {
  const auto keep = impl_;
  return keep->poll(timeout);
}

void Context::handle(int fd) {
  const auto keep = impl_;
  keep->reactor().handle(fd);
}

void Context::handle_timer() {
  const auto keep = impl_;
  keep->reactor().handle_timer();
}

void Context::wake() noexcept { impl_->waker()->wake(impl_->waker()->woken); }

int Context::fd() const noexcept { return impl_->own_loop() != nullptr ? impl_->own_loop()->fd() : -1; }

}  // namespace memif
