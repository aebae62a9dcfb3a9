#include "control/connection.hpp"

#include <new>
#include <utility>

#include "base/out_of_memory.hpp"
#include "control/context_impl.hpp"

namespace memif::detail {
namespace {

Reason reason_of(const Error& error) { return {error.code, false, error.message}; }

Error unable_to_send(std::error_code why) { return {why, "cannot send on the control channel: " + why.message()}; }

constexpr int messages_per_turn = 16;
constexpr auto looking_period = std::chrono::milliseconds(20);

Result<message::Message> checked(const Datagram& datagram) {
  if (datagram.length != message::size) return message::wrong_size(datagram.length);
  Result<message::Message> message = message::parse(datagram.bytes);
  if (message && message::fds_of(*message) != 0) {
    if (datagram.left == Datagram::Left::too_many)
      return Error{Errc::unexpected_fd, "more file descriptors than could be received"};
    if (datagram.left == Datagram::Left::not_now) return deferred::no_room();
  }
  return message;
}

}  // namespace

// --- Both roles
// -------------------------------------------------------------------------------------------------------

Connection::Connection(ContextImpl& context, Channel channel)
    : context_(context),
      channel_(std::move(channel)),
      deadline_(context.reactor(), [this] { on_deadline(); }),
      more_(context.reactor(), [this] { on_ready(); }) {}

// It may end without a word, in a child of fork().
Connection::~Connection() { context_.reactor().unwatch(channel_.fd()); }

Status Connection::watch() {
  Status watched = context_.reactor().watch(channel_.fd(), event_read, *this);
  watched_ = watched.ok();
  return watched;
}

// What the peer says is not taken while something waits for it: to watch for that would be to spin.
Status Connection::update_watch() {
  const bool write = channel_.wants_write();
  if (write == watching_write_) return Nothing{};
  watching_write_ = write;
  return context_.reactor().rewatch(channel_.fd(), write ? event_write : event_read);
}

Status Connection::send(const message::Message& message, int fd) {
  if (!context_.reactor().abandoned()) channel_.send(message::emit(message), fd);
  return Nothing{};
}

// Unless INIT is on its way, the greeting stays. A peer that has gone may have left its reason behind it.
Status Connection::take_greeting() {
  std::error_code failure = channel_.failure();
  if (channel_.wants_write()) failure = make_error_code(std::errc::resource_unavailable_try_again);
  if (failure && failure != Errc::peer_gone) return unable_to_send(failure);
  channel_.discard();
  return Nothing{};
}

void Connection::end(handshake::Leave leave) noexcept {
  over_ = true;
  deadline_.set(std::nullopt);
  more_.set(std::nullopt);
  if (!context_.reactor().abandoned()) channel_.flush();
  lingers_ = leave == handshake::Leave::when_greeted && !context_.reactor().abandoned();
  if (!lingers())
    context_.reactor().unwatch(channel_.fd());
  else if (!watched_)
    more_.set(Clock::now() + looking_period);
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

// --- With a machine
// ---------------------------------------------------------------------------------------------------

template <class Machine>
Host<Machine>::Host(ContextImpl& context, Channel channel, Machine machine)
    : Connection(context, std::move(channel)), machine_(std::move(machine)) {}

// Half of what was to be done is done, and the machine knows nothing of it. Nothing here asks for memory.
template <class Machine>
template <class Step>
void Host<Machine>::enter(Step step) {
  try {
    step();
  } catch (const std::bad_alloc&) {
    if (over()) return;
    if (machine_.leave() == handshake::Leave::told)
      channel_.send(message::emit(message::Disconnect{0, out_of_memory_words}));
    end(reason_of(out_of_memory()));
  }
}

template <class Machine>
void Host<Machine>::start() {
  enter([this] {
    if (Status watched = watch(); !watched) return execute(machine_.abort(reason_of(watched.error())));
    execute(machine_.start(Clock::now()));
    watch_as_needed();
  });
}

template <class Machine>
void Host<Machine>::on_ready() {
  if (over()) return look_for_greeting();
  enter([this] { receive_some(); });
}

template <class Machine>
void Host<Machine>::on_deadline() {
  enter([this] { execute(machine_.on_deadline(Clock::now())); });
}

template <class Machine>
void Host<Machine>::disconnect(Errc code, std::string_view why) {
  enter([&] { execute(machine_.disconnect({code, false, std::string(why)})); });
}

// A peer that has said much already lets others have their turn in between. One that does not read what it is told is
// not heard.
template <class Machine>
void Host<Machine>::receive_some() {
  channel_.flush();
  for (int taken = 0; !over() && !channel_.wants_write(); ++taken) {
    if (taken == messages_per_turn) {
      more_.set(Clock::now());  // the application's loop may tell only once that there is something
      break;
    }
    if (!receive_one()) break;
  }
  watch_as_needed();
}

template <class Machine>
bool Host<Machine>::receive_one() {
  Datagram& datagram = context_.scratch();
  const Result<Channel::Receive> received =
      machine_.only_looks() ? channel_.look(datagram) : channel_.receive(datagram);
  if (!received || *received != Channel::Receive::message) {
    nothing_received(received);
    return false;
  }
  const Result<message::Message> message = checked(datagram);
  const bool stays = datagram.left != Datagram::Left::none;
  if (message) {
    // Owned here before the machine is asked: taking another connection's messages reuses the datagram.
    const std::size_t fds = stays ? 1 : datagram.fds.size();
    received_fd_ = datagram.fds.empty() ? SharedFd() : std::move(datagram.fds.front());
    execute(take(*message, fds));
  } else {
    execute(machine_.on_refused_input(message.error()));
  }
  received_fd_.reset();
  datagram.fds.clear();
  if (stays && !over()) execute(machine_.abort({Errc::unexpected_fd, false, "descriptors that are not taken"}));
  return true;
}

template <class Machine>
void Host<Machine>::nothing_received(const Result<Channel::Receive>& received) {
  if (!received) return execute(machine_.abort(reason_of(received.error())));
  const std::error_code failure = channel_.failure();
  if (*received == Channel::Receive::closed || failure == Errc::peer_gone) return execute(machine_.on_closed());
  if (failure) execute(machine_.abort(reason_of(unable_to_send(failure))));
}

template <class Machine>
void Host<Machine>::watch_as_needed() {
  if (over()) return;
  if (Status changed = update_watch(); !changed) execute(machine_.abort(reason_of(changed.error())));
}

template <class Machine>
typename Host<Machine>::Actions Host<Machine>::take(const message::Message& message, std::size_t fds) {
  return machine_.on_message(message, fds, Clock::now());
}

template <class Machine>
void Host<Machine>::queue(Actions actions) {
  for (Action& action : actions) actions_.push_back(std::move(action));
}

// What an application does when it is told that the link is up may bring more, which is done before this goes on.
template <class Machine>
void Host<Machine>::execute(Actions actions) {
  queue(std::move(actions));
  while (!over() && !actions_.empty()) {
    Action action = std::move(actions_.front());
    actions_.pop_front();
    if (Status done = perform(action); !done) {
      actions_.clear();
      queue(machine_.abort(reason_of(done.error())));
    }
  }
}

template <class Machine>
Status Host<Machine>::perform(handshake::Deadline& action) {
  deadline_.set(action.when);
  return Nothing{};
}

template <class Machine>
Status Host<Machine>::perform(handshake::Down& action) {
  end(action.reason);
  return Nothing{};
}

template <class Machine>
void Host<Machine>::end(const Reason& reason) {
  Connection::end(machine_.leave());
  ended(reason);
}

template class Host<handshake::Server>;
template class Host<handshake::Client>;

}  // namespace memif::detail
