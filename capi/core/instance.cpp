#include "instance.hpp"

#include <array>
#include <cerrno>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <memif/observe.hpp>

#include "connection.hpp"

namespace memif::capi {
namespace {

std::uint32_t epoll_bits(unsigned events) {
  return ((events & event_read) != 0 ? EPOLLIN : 0u) | ((events & event_write) != 0 ? EPOLLOUT : 0u);
}

void drain(int fd) noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t ignored = ::read(fd, &count, sizeof count);
}

constexpr int refused_by_program = -1;

Error not_watched(int error) {
  if (error == refused_by_program) return {Errc::invalid_config, "the program's callback refused a file descriptor"};
  return system_error(error, "cannot watch a file descriptor: epoll_ctl");
}

Fd checked(int fd, const char* what) {
  if (fd < 0) throw Exception(system_error(errno, what));
  return Fd(fd);
}

}  // namespace

Instance::Instance(const Setup& setup)
    : memory_(setup.memory),
      tell_(setup.tell),
      callback_(setup.callback),
      program_context_(setup.context),
      interrupt_results_(setup.interrupt_results),
      process_(::getpid()),
      watched_(memory_),
      connections_(memory_),
      sockets_(memory_),
      requests_(setup.requests) {
  setup.app_name.copy(app_name_, sizeof app_name_ - 1);
}

Instance::~Instance() {
  context_.reset();
  if (timer_) remove(timer_.get());
  if (cancel_) remove(cancel_.get());
  for (std::size_t i = 0; i < sockets_.size(); ++i) memory_.release(sockets_[i]);
}

bool Instance::inherited() const noexcept { return process_ != ::getpid(); }

void Instance::start() {
  timer_ = checked(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create");
  if (polls()) {
    epoll_ = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    cancel_ = checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    add(cancel_.get(), event_read).value();
  }
  add(timer_.get(), event_read).value();
  context_.emplace(ContextConfig{.app_name = app_name_, .log = log, .publish = publishing_wanted(), .loop = this});
}

Code Instance::create(Instance*& made, const Setup& setup) noexcept {
  if (!RequestTimer::valid(setup.requests)) return Code::inval_arg;
  const Uncancelled uncancelled;
  Instance* instance = nullptr;
  const Code code = guarded([&] {
    // Not Memory::make(): the constructor is private.
    instance = new (setup.memory.allocate(sizeof(Instance))) Instance(setup);
    instance->start();
    return Code::success;
  });
  if (code == Code::success) {
    made = instance;
    return code;
  }
  const bool callback_failed = instance != nullptr && instance->callback_failed();
  if (instance != nullptr) instance->destroy();
  return callback_failed ? Code::cb_fdupdate : code;
}

void Instance::destroy() noexcept {
  const Turn turn(*this);
  doomed_ = true;
}

void Instance::finish() noexcept {
  ++depth_;  // what ends below must not come back here
  while (connections_.size() != 0) connections_[0]->destroy();
  const Memory memory = memory_;
  this->~Instance();
  memory.release(this);
}

// --- The event loop that the context sees
// -----------------------------------------------------------------------------

// 0, the errno, or `refused_by_program`. Words come later: removing must work where there is no memory for them.
int Instance::tell(int operation, const Watched& watched, unsigned events) noexcept {
  void* const token = const_cast<Watched*>(&watched);
  if (tell_ == nullptr) {
    // A child that cleans up after fork() shares its parent's epoll instance, which must go on.
    if (operation == EPOLL_CTL_DEL && inherited()) return 0;
    epoll_event event{};
    event.events = epoll_bits(events);
    event.data.ptr = token;
    return ::epoll_ctl(epoll_.get(), operation, watched.fd, &event) == 0 ? 0 : errno;
  }
  const unsigned change = operation == EPOLL_CTL_DEL ? fd_delete : operation == EPOLL_CTL_MOD ? fd_modify : 0;
  // That the program does not know the descriptor any more is no failure: it may have stopped watching it by itself.
  if (tell_(*this, watched.fd, events | change, token) >= 0 || operation == EPOLL_CTL_DEL) return 0;
  callback_failed_ = true;
  return refused_by_program;
}

Status Instance::watch(int fd, unsigned events, Connection* connection, std::uint16_t queue) {
  Watched& watched = watched_.add({.owner = this, .fd = fd, .connection = connection, .queue = queue});
  const int error = tell(EPOLL_CTL_ADD, watched, events);
  if (error == 0) return Nothing{};
  watched_.remove(watched);
  return not_watched(error);
}

Status Instance::add(int fd, unsigned events) { return watch(fd, events, nullptr, 0); }

Status Instance::watch_queue(int fd, Connection& connection, std::uint16_t queue) {
  return watch(fd, event_read, &connection, queue);
}

Status Instance::change(int fd, unsigned events) {
  Watched* const watched = watched_.find(fd);
  if (watched == nullptr) return system_error(ENOENT, "a file descriptor that is not watched");
  const int error = tell(EPOLL_CTL_MOD, *watched, events);
  return error == 0 ? Status(Nothing{}) : not_watched(error);
}

void Instance::remove(int fd) noexcept {
  Watched* const watched = watched_.find(fd);
  if (watched == nullptr) return;
  static_cast<void>(tell(EPOLL_CTL_DEL, *watched, 0));
  watched_.remove(*watched);
}

void Instance::set_timer(std::optional<Clock::time_point> when) noexcept {
  core_time_ = when;
  arm();
}

void Instance::arm() noexcept {
  if (inherited()) return;
  std::optional<Clock::time_point> next = core_time_;
  if (requests_.due() && (!next || *requests_.due() < *next)) next = requests_.due();
  itimerspec spec{};
  if (next) {
    const auto since = std::max<std::chrono::nanoseconds>(next->time_since_epoch(), std::chrono::nanoseconds(1));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
    spec.it_value.tv_sec = seconds.count();
    spec.it_value.tv_nsec = (since - seconds).count();
  }
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

// --- Connection requests
// ----------------------------------------------------------------------------------------------

Code Instance::set_request_timer(const itimerspec& timer) noexcept {
  if (!RequestTimer::valid(timer)) return Code::inval_arg;
  const Turn turn(*this);
  requests_.set(timer);
  requests_changed();
  return Code::success;
}

void Instance::requests_changed() noexcept {
  bool wanted = false;
  for (std::size_t i = 0; i < connections_.size() && !wanted; ++i) wanted = connections_[i]->wants_connection();
  requests_.want(wanted, Clock::now());
  arm();
}

void Instance::on_timer() {
  drain(timer_.get());
  const Clock::time_point now = Clock::now();
  if (requests_.take(now))
    for (std::size_t i = 0; i < connections_.size(); ++i) connections_[i]->retry();
  if (core_time_ && *core_time_ <= now) {
    core_time_.reset();
    context_->handle_timer();
  }
  arm();
}

// --- Events
// -----------------------------------------------------------------------------------------------------------

int Instance::dispatch(Watched& watched) noexcept {
  int result = 0;
  const Code code = guarded([&] {
    if (watched.connection != nullptr) {
      const int returned = watched.connection->interrupt(watched.queue);
      if (interrupt_results_) result = returned;
    } else if (watched.fd == timer_.get()) {
      on_timer();
    } else if (watched.fd >= 0) {
      context_->handle(watched.fd);
    }
    return Code::success;
  });
  if (callback_failed()) return static_cast<int>(Code::cb_fdupdate);
  return code != Code::success ? static_cast<int>(code) : result;
}

int Instance::handle(Watched* watched) noexcept {
  const Turn turn(*this);
  return dispatch(*watched);
}

int Instance::handle(int fd) noexcept {
  const Turn turn(*this);
  Watched* const watched = watched_.find(fd);
  return watched != nullptr ? dispatch(*watched) : 0;
}

int Instance::poll(int timeout) {
  if (!polls()) return static_cast<int>(Code::inval_arg);
  const Turn turn(*this);
  std::array<epoll_event, 64> events;
  const int count = turn.sleep([&, epoll = epoll_.get()] {
    const int ready = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), timeout);
    return ready < 0 ? -errno : ready;  // errno is not the same once the turn has come again
  });
  if (count < 0) return static_cast<int>(count == -EINTR ? Code::success : fail(system_error(-count, "epoll_wait")));
  bool cancelled = false;
  int result = 0;
  for (int i = 0; i < count && !doomed_; ++i) {
    auto& watched = *static_cast<Watched*>(events[static_cast<std::size_t>(i)].data.ptr);
    if (watched.fd == cancel_.get()) {
      drain(cancel_.get());
      cancelled = true;
    } else if (const int returned = dispatch(watched); result == 0) {
      result = returned;
    }
  }
  return cancelled ? static_cast<int>(Code::poll_cancel) : result;
}

// Also in signal handlers: no lock, and errno as it was.
Code Instance::cancel() noexcept {
  if (!polls()) return Code::inval_arg;
  const Uncancelled uncancelled;
  const int before = errno;
  const std::uint64_t one = 1;
  const bool written = ::write(cancel_.get(), &one, sizeof one) == sizeof one || errno == EAGAIN;
  errno = before;
  return written ? Code::success : Code::int_write;
}

}  // namespace memif::capi
