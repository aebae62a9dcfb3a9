// Who resumes coroutines, and when.
#include "control/waits.hpp"

#include <algorithm>

#include "control/context_impl.hpp"

namespace memif::detail {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::uint32_t looks_per_poll = 32;

}  // namespace

Waits::Waits(ContextImpl& context)
    : context_(context), reactor_(context.reactor()), timer_(reactor_, [this] { on_timer(); }) {}

bool Waits::poll(milliseconds timeout) {
  const bool gave_turn = !due_.alone();
  if (gave_turn || (spinning_ && look())) {
    if (gave_turn || ++looks_ % looks_per_poll == 0) context_.run_once(milliseconds::zero());
    resume_due();
    return true;
  }
  const SteadyTime start = std::chrono::steady_clock::now();
  const bool limited = timeout < std::chrono::hours(24 * 365);  // those further away are none, and do not overflow
  const std::optional<SteadyTime> deadline = limited ? deadline_after(timeout) : std::nullopt;
  const nanoseconds longest = spinning_ ? longest_spin() : nanoseconds::zero();
  const nanoseconds limit = longest == nanoseconds::max() ? longest : nanoseconds(longest.count() >> spins_in_vain_);
  if (spin(start, deadline, limit)) {
    spins_in_vain_ = 0;
    return true;
  }
  arm_all();
  if (!due_.alone()) {
    context_.run_once(milliseconds::zero());
    resume_due();
    return true;
  }
  const auto left = std::chrono::ceil<milliseconds>(left_until(deadline));
  const bool handled = context_.run_once(deadline ? left : milliseconds(-1));
  // As RawRx::adapt().
  if (longest == nanoseconds::zero()) return handled;
  if (std::chrono::steady_clock::now() - start > longest)
    spins_in_vain_ = std::min(spins_in_vain_ + 1, 62u);
  else if (handled)
    spins_in_vain_ = 0;
  return handled;
}

// True: something has happened.
bool Waits::spin(SteadyTime start, std::optional<SteadyTime> deadline, nanoseconds limit) {
  SteadyTime now = start, polled = start;
  while (now - start < limit && (!deadline || now < *deadline)) {
    for (int i = 0; i < looks_per_clock_read; ++i) {
      relax();
      if (look()) return true;
    }
    now = std::chrono::steady_clock::now();
    if (now - polled < poll_period) continue;
    if (context_.run_once(milliseconds::zero())) return true;
    polled = now;
  }
  return false;
}

bool Waits::look() {
  bool found = false;
  for (Place* place = hot_.next(); place != &hot_;) {
    Watch& watch = *static_cast<Watch*>(place);
    place = place->next();
    if (watch.idle())
      watch.leave();
    else
      found |= watch.look();
  }
  return found && resume_due();
}

nanoseconds Waits::longest_spin() const noexcept {
  nanoseconds longest{0};
  for (const Place* place = hot_.next(); place != &hot_; place = place->next())
    longest = std::max(longest, static_cast<const Watch*>(place)->spin());
  return longest;
}

// What is hot afterwards waits for slots.
void Waits::arm_all() {
  for (Place* place = hot_.next(); place != &hot_;) {
    Watch& watch = *static_cast<Watch*>(place);
    place = place->next();
    watch.arm();
  }
}

// A nap that is over has its queue looked at; each is longer than the last.
void Waits::on_timer() {
  next_ = SteadyTime::max();
  const SteadyTime now = std::chrono::steady_clock::now();
  SteadyTime first = SteadyTime::max();
  for (Place* place = limited_.next(); place != &limited_;) {
    Wait& wait = *static_cast<Wait*>(static_cast<LimitPlace*>(place));
    place = place->next();
    if (wait.deadline_ <= now)
      settle(wait, Waited::timed_out);
    else
      first = std::min(first, wait.deadline_);
  }
  if (first != SteadyTime::max()) schedule(first);
  for (Place* place = hot_.next(); place != &hot_; place = place->next()) {
    Watch& watch = *static_cast<Watch*>(place);
    watch.look();
    watch.nap();
  }
  resume_due();
}

// One that comes too early does no harm, so it is not set anew for each wait that ends.
void Waits::schedule(SteadyTime when) noexcept {
  if (when >= next_) return;
  next_ = when;
  timer_.set(when);
}

void Waits::nap(SteadyTime since) noexcept {
  const SteadyTime now = std::chrono::steady_clock::now();
  schedule(now + nap_after(now - since));
}

void Waits::limit(Wait& wait) noexcept {
  if (wait.limits_.stop.stop_possible()) {
    wait.LimitPlace::join(limited_);
    wait.stop_.emplace(wait.limits_.stop, Wait::Stop{context_.waker()});
  }
  const std::optional<SteadyTime> deadline = deadline_after(wait.limits_.timeout);
  if (!deadline) return;
  wait.LimitPlace::join(limited_);
  wait.deadline_ = *deadline;
  schedule(*deadline);
}

void Waits::check_stops() {
  for (Place* place = limited_.next(); place != &limited_;) {
    Wait& wait = *static_cast<Wait*>(static_cast<LimitPlace*>(place));
    place = place->next();
    if (wait.limits_.stop.stop_requested()) settle(wait, Waited::stopped);
  }
  resume_due();
}

void Waits::settle(Wait& wait, Waited result) noexcept {
  wait.settled_ = true;
  wait.result_ = result;
  wait.LimitPlace::leave();
  wait.WaitPlace::join(due_);
}

void Waits::settle_all(Place& list, Waited result) noexcept {
  while (!list.alone()) settle(*static_cast<Wait*>(static_cast<WaitPlace*>(list.next())), result);
}

// The present poll() leaves that to the next one, a coroutine to who has resumed it.
void Waits::resume_later() noexcept {
  if (!spinning_ && !due_.alone()) schedule(std::chrono::steady_clock::now());
}

void Waits::close(const InterfaceWaits& interface) {
  WaitPlace closed;
  for (Place* place = due_.next(); place != &due_;) {
    Wait& wait = *static_cast<Wait*>(static_cast<WaitPlace*>(place));
    place = place->next();
    if (wait.waits_ != &interface) continue;
    wait.result_ = Waited::closed;
    wait.WaitPlace::join(closed);
  }
  while (!closed.alone()) resume_first(closed);
}

void Waits::forget(const InterfaceWaits& interface) noexcept {
  for (Place* place = due_.next(); place != &due_;) {
    Wait& wait = *static_cast<Wait*>(static_cast<WaitPlace*>(place));
    place = place->next();
    if (wait.waits_ == &interface) wait.WaitPlace::leave();
  }
}

void Waits::resume_first(WaitPlace& of) {
  struct Resuming {
    explicit Resuming(bool& flag) noexcept : resuming(flag), before(std::exchange(flag, true)) {}
    ~Resuming() { resuming = before; }
    bool& resuming;
    const bool before;
  } const now(resuming_);
  Wait& wait = *static_cast<Wait*>(static_cast<WaitPlace*>(of.next()));
  wait.WaitPlace::leave();
  turns_left_ = turn;
  wait.coroutine_.resume();
}

// As many as are due now: what they make due has its turn when others have had theirs. One that throws leaves the rest
// to the next turn. Within a coroutine nobody is resumed: it may use what others would remove.
bool Waits::resume_due() {
  struct Rest {
    ~Rest() { waits.resume_later(); }
    Waits& waits;
  } const rest{*this};
  if (resuming_) return false;
  std::size_t count = 0;
  for (const Place* place = due_.next(); place != &due_; place = place->next()) ++count;
  const bool any = count != 0;
  for (; count != 0 && !due_.alone(); --count) resume_first(due_);
  return any;
}

}  // namespace memif::detail
