#include "base/lane.hpp"

#include <algorithm>

namespace memif::deferred {
namespace {

using namespace std::chrono_literals;

// A user's that may wait before no more is taken from it: strange ones, which no good peer sends, or others once one of
// them has waited or taken so long.
constexpr std::size_t most_of_a_user = 64, most_of_a_user_at_all = 256;
constexpr auto long_for_a_call = 100ms;

}  // namespace

bool Lane::promise() noexcept {
  if (room() == 0) return false;
  ++promised_;
  return true;
}

bool Lane::add(const Job& asked, bool promised) noexcept {
  if (promised)
    --promised_;
  else if (room() == 0)
    return false;
  Job& one = job(pending_);
  one = asked;
  one.since = Clock::now();
  one.surplus = has_its_share(asked.user);
  ++pending_;
  return true;
}

// The others stay in order: who came first is served first. It is one of the first, nearly always.
void Lane::remove(std::size_t index) noexcept {
  for (std::size_t i = index; i != 0; --i) job(i) = job(i - 1);
  first_ = (first_ + 1) % capacity;
  --pending_;
  refused_ -= index < refused_ ? 1 : 0;
}

Job Lane::take_last() noexcept {
  --pending_;
  refused_ = std::min(refused_, pending_);
  return job(pending_);
}

// Which one may be taken, or pending_. A user who has as many threads as it may have has so until one of them has
// finished: of those that wait each is asked once until then.
std::size_t Lane::next(const Limits& limits) noexcept {
  const std::size_t at_it = busy();
  if (at_it == most_threads) return pending_;
  const std::size_t allowed = at_it < limits.threads ? limits.threads_of_a_user : 1;
  const Job* last = nullptr;  // whose user was refused
  for (; refused_ != pending_; ++refused_) {
    const Job& one = job(refused_);
    if (last != nullptr && one.user == last->user) continue;
    if (one.call == Call::signal && signalling(one.fd) != nullptr) continue;
    if (threads_of(one.user) < allowed) break;
    last = &one;
  }
  return refused_;
}

bool Lane::take(Worker& worker, const Limits& limits) noexcept {
  const std::size_t index = next(limits);
  if (index == pending_) return false;
  worker.job = job(index);
  worker.job.since = Clock::now();
  remove(index);
  return true;
}

void Lane::finish(Worker& worker) noexcept {
  worker.job = {};
  refused_ = 0;
}

std::size_t Lane::find_signal(int fd) const noexcept {
  std::size_t index = 0;
  while (index != pending_ && (job(index).fd != fd || job(index).call != Call::signal)) ++index;
  return index;
}

bool Lane::forget(int fd) noexcept {
  const std::size_t signal = find_signal(fd);
  if (signal == pending_) return false;
  remove(signal);
  return true;
}

Lane::Worker* Lane::signalling(int fd) noexcept {
  const auto workers = used_workers();
  const auto found = std::find_if(workers.begin(), workers.end(), [fd](const Worker& worker) {
    return worker.job.fd == fd && worker.job.call == Call::signal;
  });
  return found != workers.end() ? &*found : nullptr;
}

std::size_t Lane::busy() const noexcept {
  const auto workers = used_workers();
  return static_cast<std::size_t>(std::count_if(workers.begin(), workers.end(),
                                                [](const Worker& worker) { return worker.job.call != Call::none; }));
}

std::size_t Lane::threads_of(uid_t user) const noexcept {
  const auto workers = used_workers();
  return static_cast<std::size_t>(std::count_if(workers.begin(), workers.end(), [user](const Worker& worker) {
    return worker.job.call != Call::none && worker.job.user == user;
  }));
}

template <class Property>
std::size_t Lane::count_pending(Property has) const noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i != pending_; ++i) count += has(job(i)) ? 1 : 0;
  return count;
}

std::size_t Lane::count(Call call) const noexcept {
  std::size_t count = count_pending([call](const Job& job) { return job.call == call; });
  for (const Worker& worker : used_workers()) count += worker.job.call == call ? 1 : 0;
  return count;
}

std::size_t Lane::count_shares(Call call) const noexcept {
  std::size_t count = count_pending([call](const Job& job) { return job.call == call && !job.surplus; });
  for (const Worker& worker : used_workers()) count += worker.job.call == call ? 1 : 0;
  return count;
}

// From the last on: who has very many has them there.
bool Lane::has_its_share(uid_t user) const noexcept {
  if (pending_ < most_of_a_user) return false;
  std::size_t count = 0;
  for (std::size_t i = pending_; i != 0 && count != most_of_a_user; --i) count += job(i - 1).user == user ? 1 : 0;
  return count == most_of_a_user;
}

std::size_t Lane::bytes_of(uid_t user) const noexcept {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i != pending_; ++i) bytes += job(i).user == user ? job(i).size : 0;
  for (const Worker& worker : used_workers()) bytes += worker.job.user == user ? worker.job.size : 0;
  return bytes;
}

bool Lane::crowded_by(uid_t user, const Limits& limits) const noexcept {
  if (!has_its_share(user)) return false;
  if (limits.strange) return true;
  const auto is_of_user = [user](const Job& job) { return job.user == user; };
  if (count_pending(is_of_user) >= most_of_a_user_at_all) return true;
  const auto long_ago = [&, before = Clock::now() - long_for_a_call](const Job& job) {
    return job.call != Call::none && is_of_user(job) && job.since < before;
  };
  const auto workers = used_workers();
  return count_pending(long_ago) != 0 ||
         std::any_of(workers.begin(), workers.end(), [&](const Worker& worker) { return long_ago(worker.job); });
}

Lane::Worker* Lane::free_worker() noexcept {
  const auto free = std::find_if(workers_.begin(), workers_.end(), [](const Worker& worker) { return !worker.taken; });
  if (free == workers_.end()) return nullptr;
  used_ = std::max(used_, static_cast<std::size_t>(free - workers_.begin()) + 1);
  return &*free;
}

void Lane::forget_threads() noexcept {
  workers_ = {};
  used_ = refused_ = 0;
  threads = starting = sleeping = woken = 0;
  added = PTHREAD_COND_INITIALIZER;
}

}  // namespace memif::deferred
