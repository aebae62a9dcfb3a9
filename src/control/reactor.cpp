#include "control/reactor.hpp"

#include <unistd.h>

namespace memif::detail {

void Waker::wake(std::atomic<bool>& why) noexcept {
  why.store(true, std::memory_order_release);
  const std::uint64_t one = 1;
  // Fails only if the descriptor is readable already.
  [[maybe_unused]] const ssize_t ignored = ::write(event.get(), &one, sizeof one);
}

Status Reactor::watch(int fd, unsigned events, Handler& handler) {
  const auto [entry, fresh] = handlers_.try_emplace(fd, &handler);
  try {
    Status added = loop_.add(fd, events);
    if (!added && fresh) handlers_.erase(entry);
    return added;
  } catch (...) {
    if (fresh) handlers_.erase(entry);
    throw;
  }
}

void Reactor::unwatch(int fd) noexcept {
  if (handlers_.erase(fd) != 0) loop_.remove(fd);
}

void Reactor::free_later(std::unique_ptr<Handler> handler) noexcept {
  handler->next_to_free_ = std::move(to_free_);
  to_free_ = std::move(handler);
}

void Reactor::handle(int fd) {
  const Scope scope(*this);
  if (const auto found = handlers_.find(fd); found != handlers_.end()) found->second->on_ready();
}

void Reactor::handle_timer() {
  const Scope scope(*this);
  armed_.reset();
  const Clock::time_point now = Clock::now();
  while (!due_.empty() && due_.begin()->first <= now) {
    Timer& timer = *due_.begin()->second;
    timer.place_ = due_.extract(due_.begin());
    timer.when_.reset();
    timer.callback_();
  }
  arm();
}

void Reactor::arm() noexcept {
  std::optional<Clock::time_point> first;
  if (!due_.empty()) first = due_.begin()->first;
  if (first == armed_ || abandoned_) return;
  armed_ = first;
  loop_.set_timer(first);
}

Reactor::Scope::~Scope() {
  if (--reactor_.depth_ != 0) return;
  // What is freed may end more.
  while (std::unique_ptr<Handler> first = std::move(reactor_.to_free_))
    reactor_.to_free_ = std::move(first->next_to_free_);
}

Timer::Timer(Reactor& reactor, std::function<void()> callback) : reactor_(reactor), callback_(std::move(callback)) {
  Reactor::Due one{{Clock::time_point{}, this}};
  place_ = one.extract(one.begin());
}

void Timer::set(std::optional<Clock::time_point> when) noexcept {
  if (when_) place_ = reactor_.due_.extract({*when_, this});
  when_ = when;
  if (when_) {
    place_.value().first = *when_;
    reactor_.due_.insert(std::move(place_));
  }
  reactor_.arm();
}

}  // namespace memif::detail
