// What coroutines wait for: queues and links.
#include <algorithm>

#include "control/interface_impl.hpp"
#include "control/waits.hpp"

namespace memif {

bool Wait::there() noexcept {
  switch (for_) {
    case For::packets:
      return rx_->pending();
    case For::room: {
      tx_->renew();
      const std::size_t slots = std::min<std::size_t>(slots_, tx_->ring_size());
      return tx_->up() && tx_->room(slots) == slots && tx_->up();
    }
    case For::link:
    case For::no_link:
      break;
  }
  return waits_->connected() == (for_ == For::link);
}

bool Wait::settle(Waited result) noexcept {
  settled_ = true;
  result_ = result;
  return true;
}

bool Wait::await_ready() noexcept {
  if (limits_.stop.stop_requested()) return settle(Waited::stopped);
  if (waits_ == nullptr) return settle(Waited::closed);
  if (there())
    settle(Waited::ready);
  else if (limits_.timeout == std::chrono::nanoseconds::zero())
    settle(Waited::timed_out);
  else
    return false;
  return waits_->all().may_go_on();
}

// False: the coroutine goes on at once.
bool Wait::await_suspend(std::coroutine_handle<> coroutine) {
  detail::Waits& all = waits_->all();
  coroutine_ = coroutine;
  if (settled_) {
    all.settle(*this, result_);
    all.resume_later();
    return true;
  }
  const bool of_queue = for_ == For::packets || for_ == For::room;
  if (!of_queue) {
    waits_->await_link(*this, for_ == For::link);
  } else if (!(for_ == For::packets ? waits_->watch(*rx_) : waits_->watch(*tx_)).add(*this)) {
    return false;
  }
  all.limit(*this);
  return true;
}

void Wait::Stop::operator()() const noexcept { waker->wake(waker->stop); }

Wait RxQueue::ready_within(detail::WaitLimits&& limits) noexcept {
  return {raw_.owner_.waits(), Wait::For::packets, &raw_, nullptr, 0, std::move(limits)};
}
Wait TxQueue::room_within(std::size_t wanted, detail::WaitLimits&& limits) noexcept {
  return {raw_.owner_.waits(), Wait::For::room, nullptr, &raw_, wanted, std::move(limits)};
}
Wait Interface::until(bool connected, detail::WaitLimits&& limits) noexcept {
  const Wait::For what = connected ? Wait::For::link : Wait::For::no_link;
  return {impl_->queues()->waits(), what, nullptr, nullptr, 0, std::move(limits)};
}

namespace detail {

using std::chrono::nanoseconds;

// In a bell, links that come and go are heard, and wake(). A receive queue's event_fd() has it in it.
Watch::Watch(Waits& waits, Queues& queues, const InterfaceConfig& config, RawRx* rx, RawTx* tx)
    : waits_(waits), config_(config), rx_(rx), tx_(tx) {
  if (rx_ != nullptr) {
    fd_ = queues.event_fd(*rx_).value();
  } else {
    queues.make_bell(*tx_);
    fd_ = tx_->bell_.fd();
    if (fd_ < 0) throw Exception(system_error(EMFILE, "cannot make a descriptor for the events of a queue"));
  }
  waits_.reactor().watch(fd_, event_read, *this).value();
}

void Watch::end() noexcept {
  leave();
  if (fd_ >= 0) waits_.reactor().unwatch(std::exchange(fd_, -1));
}

Queue& Watch::queue() const noexcept { return rx_ != nullptr ? static_cast<Queue&>(*rx_) : static_cast<Queue&>(*tx_); }

bool Watch::take_wake() noexcept {
  Queue& queue = this->queue();
  if (queue.bell_.rang()) queue.bell_.hear();
  return queue.take_wake();
}

void Watch::listen() {
  if (!quiet_) return;
  waits_.reactor().rewatch(fd_, event_read).value();
  quiet_ = false;
}

bool Watch::add(Wait& wait) {
  listen();
  if (take_wake()) {
    wait.settle(Waited::woken);
    return false;
  }
  if (tx_ != nullptr && idle()) since_ = std::chrono::steady_clock::now();
  wait.epoch_ = queue().epoch();
  wait.WaitPlace::join(waiting_);
  rest();
  if (!wait.settled_) return true;
  wait.WaitPlace::leave();
  waits_.resume_later();  // others of this queue
  return false;
}

void Watch::on_ready() {
  if (idle()) {
    quiet_ = waits_.reactor().rewatch(fd_, 0).ok();
    return;
  }
  const bool woken = take_wake();
  if (rx_ != nullptr) {
    rx_->renew();
    rx_->disarm_here();
  }
  look();
  if (woken) waits_.settle_all(waiting_, Waited::woken);
  if (!idle()) rest();
  waits_.resume_due();
}

bool Watch::look() noexcept {
  bool found = false;
  for (Place* place = waiting_.next(); place != &waiting_;) {
    Wait& wait = *static_cast<Wait*>(static_cast<WaitPlace*>(place));
    place = place->next();
    const bool there = wait.there();
    if (!there && wait.epoch_ == queue().epoch()) continue;
    waits_.settle(wait, there ? Waited::ready : Waited::link_changed);
    found = true;
  }
  if (found && rx_ != nullptr) rx_->found_awake();
  return found;
}

void Watch::rest() noexcept {
  if (waits_.spinning() && spin() != nanoseconds::zero())
    waits_.make_hot(*this);
  else
    arm();
}

// A queue that asks for an interrupt and has packets by then has none of the others' either.
void Watch::arm() noexcept {
  if (tx_ != nullptr && !idle() && tx_->renew()) {
    if (alone()) waits_.make_hot(*this);
    return nap();
  }
  leave();
  if (idle() || tx_ != nullptr) return;
  if (!rx_->arm()) {
    look();
  } else if (rx_->up()) {
    rx_->counters_.sleeps.add(1);
  }
}

void Watch::nap() noexcept {
  if (tx_ != nullptr && !idle()) waits_.nap(since_);
}

nanoseconds Watch::spin() const noexcept {
  if (rx_ != nullptr) return rx_->up() ? spin_of(rx_->mode(), config_.spin) : nanoseconds::zero();
  return tx_->up() ? spin_of(config_.rx_mode, config_.spin) : nanoseconds::zero();
}

InterfaceWaits::Watches& InterfaceWaits::at_least(Watches& watches, std::size_t size) {
  if (watches.size() < size) watches.resize(size);
  return watches;
}

Watch& InterfaceWaits::watch(RawRx& queue) {
  std::unique_ptr<Watch>& watch = at_least(rx_, config_.rx_queues)[queue.index_];
  if (watch == nullptr) watch = std::make_unique<Watch>(all_, queues_, config_, &queue, nullptr);
  return *watch;
}

Watch& InterfaceWaits::watch(RawTx& queue) {
  std::unique_ptr<Watch>& watch = at_least(tx_, config_.tx_queues)[queue.index_];
  if (watch == nullptr) watch = std::make_unique<Watch>(all_, queues_, config_, nullptr, &queue);
  return *watch;
}

void InterfaceWaits::link_changed(bool up) {
  all_.settle_all(up ? up_ : down_, Waited::ready);
  all_.resume_due();
}

void InterfaceWaits::close() {
  all_.settle_all(up_, Waited::closed);
  all_.settle_all(down_, Waited::closed);
  for (Watches* watches : {&rx_, &tx_}) {
    for (std::unique_ptr<Watch>& watch : *watches) {
      if (watch == nullptr) continue;
      all_.settle_all(watch->waiting(), Waited::closed);
      watch->end();
      all_.reactor().free_later(std::move(watch));
    }
    watches->clear();
  }
  all_.close(*this);
}

void InterfaceWaits::forget() noexcept {
  for (Place* list : {static_cast<Place*>(&up_), static_cast<Place*>(&down_)}) {
    while (!list->alone()) list->next()->leave();
  }
  for (Watches* watches : {&rx_, &tx_}) {
    for (const std::unique_ptr<Watch>& watch : *watches) {
      while (watch != nullptr && !watch->idle()) watch->waiting().next()->leave();
    }
    watches->clear();
  }
  all_.forget(*this);
}

}  // namespace detail
}  // namespace memif
