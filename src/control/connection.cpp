#include "control/connection.hpp"

#include <algorithm>
#include <bit>
#include <new>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/out_of_memory.hpp"
#include "control/context_impl.hpp"
#include "memory/interrupt.hpp"

namespace memif::detail {
namespace {

Reason reason_of(const Error& error) { return {error.code, false, error.message}; }

constexpr int messages_per_turn = 16;
constexpr auto looking_period = std::chrono::milliseconds(20);

Status not_for_this_role() { return Error{Errc::unexpected_message, "an action of the other role"}; }

}  // namespace

Connection::Connection(ContextImpl& context, Channel channel)
    : context_(context),
      channel_(std::move(channel)),
      deadline_(context.reactor(), [this] { enter([this] { execute(machine().on_deadline(Clock::now())); }); }),
      more_(context.reactor(), [this] { on_ready(); }) {}

// It may end without a word, in a child of fork().
Connection::~Connection() { context_.reactor().unwatch(channel_.fd()); }

// Half of what was to be done is done, and the machine knows nothing of it. Nothing here asks for memory.
template <class Step>
void Connection::enter(Step step) {
  try {
    step();
  } catch (const std::bad_alloc&) {
    if (over_) return;
    if (machine().leave() == handshake::Leave::told)
      channel_.send(message::emit(message::Disconnect{0, out_of_memory_words}));
    end(reason_of(out_of_memory()));
  }
}

void Connection::start() {
  enter([this] {
    if (Status watched = context_.reactor().watch(channel_.fd(), event_read, *this); !watched) {
      execute(machine().abort(reason_of(watched.error())));
      return;
    }
    watched_ = true;
    execute(begin(Clock::now()));
    if (!over_) update_watch();
  });
}

void Connection::on_ready() {
  if (over_) return look_for_greeting();
  enter([this] { receive_some(); });
}

void Connection::look_for_greeting() noexcept {
  if (!lingers_ || !lingering.empty()) return;  // not there, or to be freed already
  if (!lingers()) return context_.see_off_greeted(*this);
  if (!watched_) more_.set(Clock::now() + looking_period);
}

Channel Connection::give_channel() noexcept {
  lingers_ = false;
  more_.set(std::nullopt);
  context_.reactor().unwatch(channel_.fd());
  return std::move(channel_);
}

// A peer that has said much already lets others have their turn in between.
void Connection::receive_some() {
  if (over_) return;
  channel_.flush();
  Datagram& datagram = context_.scratch();
  for (int taken = 0; !over_; ++taken) {
    if (taken == messages_per_turn) {
      more_.set(Clock::now());  // the application's loop may tell only once that there is something
      break;
    }
    const Result<Channel::Receive> received =
        machine().only_looks() ? channel_.look(datagram) : channel_.receive(datagram);
    if (!received) return execute(machine().abort(reason_of(received.error())));
    if (*received == Channel::Receive::closed) return execute(machine().on_closed());
    if (*received == Channel::Receive::nothing) {
      if (const std::error_code failure = channel_.failure()) return execute(unable_to_send(failure));
      break;
    }
    const Result<message::Message> message = checked(datagram);
    const bool stays = datagram.left != Datagram::Left::none;
    if (message) {
      // Owned here before the machine is asked: taking another connection's messages reuses the datagram.
      const std::size_t fds = stays ? 1 : datagram.fds.size();
      received_fd_ = datagram.fds.empty() ? SharedFd() : std::move(datagram.fds.front());
      execute(take(*message, fds));
    } else {
      execute(machine().on_refused_input(message.error()));
    }
    received_fd_.reset();
    datagram.fds.clear();
    if (stays && !over_)
      return execute(machine().abort({Errc::unexpected_fd, false, "descriptors that are not taken"}));
  }
  if (!over_) update_watch();
}

Result<message::Message> Connection::checked(const Datagram& datagram) {
  if (datagram.length != message_bytes)
    return Error{Errc::malformed_message, "a message of " + std::to_string(datagram.length) + " bytes; all have " +
                                              std::to_string(message_bytes)};
  Result<message::Message> message = message::parse(datagram.bytes);
  if (message && message::carries_fd(*message)) {
    if (datagram.left == Datagram::Left::too_many)
      return Error{Errc::unexpected_fd, "more file descriptors than could be received"};
    if (datagram.left == Datagram::Left::not_now) return deferred::no_room();
  }
  return message;
}

handshake::Actions Connection::unable_to_send(std::error_code why) {
  if (why == Errc::peer_gone) return machine().on_closed();
  return machine().abort({why, false, "cannot send on the control channel: " + why.message()});
}

void Connection::disconnect(Errc code, std::string_view why) {
  enter([&] { execute(machine().disconnect({code, false, std::string(why)})); });
}

void Connection::execute(handshake::Actions actions) {
  for (handshake::Action& action : actions) {
    if (over_) return;
    Status done = std::visit([this](auto& one) { return perform(one); }, action);
    if (!done) {
      execute(machine().abort(reason_of(done.error())));
      return;
    }
  }
}

void Connection::update_watch() {
  const bool write = channel_.wants_write();
  if (write == watching_write_) return;
  watching_write_ = write;
  if (Status changed = context_.reactor().rewatch(channel_.fd(), write ? event_read | event_write : event_read);
      !changed)
    execute(machine().abort(reason_of(changed.error())));
}

SharedFd Connection::take_fd() { return std::move(received_fd_); }

int Connection::descriptor(handshake::FdRef) const { return -1; }

Status Connection::perform(handshake::Send& action) {
  if (context_.reactor().abandoned()) return Nothing{};
  channel_.send(message::emit(action.message), descriptor(action.fd));
  return Nothing{};
}

// Unless INIT is on its way, the greeting stays. A peer that has gone may have left its reason behind it.
Status Connection::perform(handshake::TakeGreeting&) {
  std::error_code failure = channel_.failure();
  if (channel_.wants_write()) failure = make_error_code(std::errc::resource_unavailable_try_again);
  if (failure && failure != Errc::peer_gone)
    return Error{failure, "cannot send on the control channel: " + failure.message()};
  channel_.discard();
  return Nothing{};
}

Status Connection::perform(handshake::Deadline& action) {
  deadline_.set(action.when);
  return Nothing{};
}

Status Connection::perform(handshake::Down& action) {
  end(action.reason);
  return Nothing{};
}

void Connection::end(const Reason& reason) {
  over_ = true;
  deadline_.set(std::nullopt);
  more_.set(std::nullopt);
  if (!context_.reactor().abandoned()) channel_.flush();
  lingers_ = machine().leave() == handshake::Leave::when_greeted && !context_.reactor().abandoned();
  if (!lingers())
    context_.reactor().unwatch(channel_.fd());
  else if (!watched_)
    more_.set(Clock::now() + looking_period);
  ended(reason);
}

Status Connection::perform(handshake::Admit&) { return not_for_this_role(); }
Status Connection::perform(handshake::Allocate&) { return not_for_this_role(); }
Status Connection::perform(handshake::MapRegion&) { return not_for_this_role(); }
Status Connection::perform(handshake::AttachRing&) { return not_for_this_role(); }

// --- Server
// -----------------------------------------------------------------------------------------------------------

ServerConnection::ServerConnection(ContextImpl& context, Listener& listener, Channel channel)
    : Connection(context, std::move(channel)),
      listener_(listener),
      machine_(listener.identity(), [this](std::uint32_t id) { return policy(id); }) {
  link_->client = false;
}

handshake::Actions ServerConnection::take(const message::Message& message, std::size_t fds) {
  if (const auto* init = std::get_if<message::Init>(&message)) {
    if (interface_ == nullptr) listener_.spoken(*this);
    handshake::Actions actions = machine_.on_message(message, fds, Clock::now());
    wanted_ = interface_ == nullptr ? listener_.find(init->id) : nullptr;
    return actions;
  }
  return machine_.on_message(message, fds, Clock::now());
}

std::optional<handshake::ServerPolicy> ServerConnection::policy(std::uint32_t id) {
  InterfaceImpl* interface = listener_.find(id);
  if (interface == nullptr) return std::nullopt;
  // A peer that died and came back may be faster than the news of its death.
  if (interface->connection() != nullptr) interface->connection()->on_ready();
  interface = listener_.find(id);
  if (interface == nullptr) return std::nullopt;

  const InterfaceConfig& config = interface->config();
  handshake::ServerPolicy policy{.connected = interface->connection() != nullptr,
                                 .is_server = true,
                                 .mode = config.mode,
                                 .secret = config.secret,
                                 .max_s2m_rings = config.rx_queues,
                                 .max_m2s_rings = config.tx_queues,
                                 .max_memory = config.max_peer_memory,
                                 .interface_name = config.name,
                                 .refusal = std::nullopt};
  if (!config.allowed_users.empty() || !config.allowed_groups.empty()) {
    const Result<Credentials> peer = credentials();
    const auto lists = [](const auto& list, auto value) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    if (!peer || !(lists(config.allowed_users, peer->uid) || lists(config.allowed_groups, peer->gid)))
      policy.refusal = Reason{
          Errc::peer_not_allowed, false,
          peer ? "user " + std::to_string(peer->uid) + ", group " + std::to_string(peer->gid) + " is not allowed here"
               : "the peer's credentials are unknown"};
  }
  return policy;
}

Status ServerConnection::perform(handshake::Admit& action) {
  interface_ = listener_.find(action.id);
  if (interface_ == nullptr) return Error{Errc::unknown_id, "interface " + std::to_string(action.id) + " has gone"};
  wanted_ = nullptr;
  take_fds();
  interface_->admitted(listener_.take(*this));
  peer_.app_name = std::move(action.app_name);
  peer_.version = action.version;
  if (const Result<Credentials> peer = credentials()) peer_.credentials = *peer;
  return Nothing{};
}

Status ServerConnection::perform(handshake::MapRegion& action) {
  const InterfaceConfig& config = interface_->config();
  SharedFd file = take_fd();
  // What former links of this user had may be mapped for a moment yet.
  const std::uint64_t unmapping = deferred::unmapping(file.user());
  std::uint64_t left = config.max_peer_memory - std::min(config.max_peer_memory, unmapping);
  for (const Region& other : link_->regions) left -= std::min(left, other.mapped());
  Result<Region> region = Region::map_peer(std::move(file), action.size, config.require_sealed_memory,
                                           action.index != 0 ? config.memory_hooks : nullptr, left);
  if (!region) {
    if (region.error().code == Errc::too_much_memory && unmapping != 0) return deferred::no_room();
    region.error().message = "region " + std::to_string(action.index) + ": " + region.error().message;
    return region.error();
  }
  // Observers look at rings by the file's descriptor: docs/observing.md. Rings lie in region 0.
  if (action.index != 0 || !context_.config().publish) region->close_file();
  link_->regions.push_back(std::move(*region));
  return Nothing{};
}

Status ServerConnection::perform(handshake::AttachRing& action) {
  Result<SharedFd> interrupt = adopt_interrupt(take_fd());
  if (!interrupt) return interrupt.error();
  if (!interrupt->has_place()) return deferred::no_room();
  LinkRing ring;
  ring.spec = action.ring;
  ring.interrupt = std::move(*interrupt);
  (action.ring.s2m ? link_->rx : link_->tx).push_back(std::move(ring));
  return Nothing{};
}

Status ServerConnection::perform(handshake::Establish& action) {
  if (Status complete = complete_server_link(*link_); !complete) return complete;
  peer_.interface_name = std::move(action.peer_interface_name);
  execute(machine_.established(Clock::now()));
  if (!over()) interface_->came_up(std::exchange(link_, nullptr), std::move(peer_));
  return Nothing{};
}

void ServerConnection::ended(const Reason& reason) {
  const bool was_up = link_ == nullptr;
  if (!was_up) listener_.refused(reason);
  if (interface_ != nullptr) {
    interface_->ended(reason, was_up);
    return;
  }
  if (wanted_ != nullptr) wanted_->refused(reason);
  context_.reactor().bury(listener_.take(*this));
}

// --- Client
// -----------------------------------------------------------------------------------------------------------

ClientConnection::ClientConnection(ContextImpl& context, InterfaceImpl& interface, handshake::RingCounts rings,
                                   std::string listener_id)
    : Connection(context, Channel(Fd())),
      interface_(interface),
      machine_({.app_name = context.config().app_name,
                .interface_name = interface.config().name,
                .id = interface.config().id,
                .mode = interface.config().mode,
                .secret = interface.config().secret,
                .rings = rings,
                .log2_ring_size = static_cast<std::uint8_t>(std::bit_width(interface.config().ring_size) - 1),
                .timeout = interface.config().handshake_timeout}) {
  listener_id_ = std::move(listener_id);
}

handshake::Actions ClientConnection::take(const message::Message& message, std::size_t fds) {
  return machine_.on_message(message, fds, Clock::now());
}

Status ClientConnection::perform(handshake::Allocate& action) {
  bool fell_back = false;
  const Result<Credentials> server = credentials();
  auto link = make_client_link(interface_.config(), server ? server->uid : deferred::nobody, action.s2m_rings,
                               action.m2s_rings, action.log2_ring_size, fell_back);
  if (!link) return link.error();
  link_ = std::move(*link);
  if (fell_back)
    context_.log(LogLevel::warning, interface_.config().name, ": no huge pages to be had, using ordinary ones");
  peer_.app_name = std::move(action.peer_app_name);
  peer_.version = wire::version;
  if (server) peer_.credentials = *server;
  std::vector<std::uint64_t> sizes;
  for (const Region& region : link_->regions) sizes.push_back(region.size());
  execute(machine_.allocated(std::move(sizes), ring_specs(*link_), Clock::now()));
  return Nothing{};
}

int ClientConnection::descriptor(handshake::FdRef which) const {
  switch (which.kind) {
    case handshake::FdKind::none:
      return -1;
    case handshake::FdKind::region:
      return link_->regions[which.index].fd();
    case handshake::FdKind::s2m_ring:
      return link_->tx[which.index].interrupt.get();
    case handshake::FdKind::m2s_ring:
      return link_->rx[which.index].interrupt.get();
  }
  return -1;
}

Status ClientConnection::perform(handshake::Establish& action) {
  peer_.interface_name = std::move(action.peer_interface_name);
  if (interface_.config().post_buffers) post_all_buffers(*link_);
  interface_.came_up(std::exchange(link_, nullptr), std::move(peer_));
  return Nothing{};
}

void ClientConnection::ended(const Reason& reason) {
  if (machine_.fewer() && interface_.settles_for(*machine_.fewer(), reason)) return;
  interface_.ended(reason, link_ == nullptr);
}

}  // namespace memif::detail
