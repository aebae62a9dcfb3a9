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

bool Lane::add(const Job& job, bool promised) noexcept {
  if (promised)
    --promised_;
  else if (room() == 0)
    return false;
  Job& one = jobs_[pending_];
  one = job;
  one.since = Clock::now();
  one.surplus = pending_ >= most_of_a_user && pending_of(job.user) >= most_of_a_user;
  ++pending_;
  return true;
}

// The others stay in order: who came first is served first.
void Lane::remove(std::size_t index) noexcept {
  const auto begin = jobs_.begin() + static_cast<std::ptrdiff_t>(index);
  std::copy(begin + 1, jobs_.begin() + static_cast<std::ptrdiff_t>(pending_--), begin);
}

const Job* Lane::next(const Limits& limits) const noexcept {
  const std::size_t at_it = busy();
  if (at_it == most_threads) return nullptr;
  const std::size_t allowed = at_it < limits.threads ? limits.threads_of_a_user : 1;
  const Job* last = nullptr;  // whose user was refused
  for (const Job& job : pending()) {
    if (last != nullptr && job.user == last->user) continue;
    if (job.call == Call::signal && const_cast<Lane*>(this)->signalling(job.fd) != nullptr) continue;
    if (threads_of(job.user) < allowed) return &job;
    last = &job;
  }
  return nullptr;
}

bool Lane::take(Worker& worker, const Limits& limits) noexcept {
  const Job* const job = next(limits);
  if (job == nullptr) return false;
  worker.job = *job;
  worker.job.since = Clock::now();
  remove(static_cast<std::size_t>(job - jobs_.data()));
  return true;
}

std::size_t Lane::find_signal(int fd) const noexcept {
  const auto jobs = pending();
  const auto found =
      std::find_if(jobs.begin(), jobs.end(), [fd](const Job& job) { return job.fd == fd && job.call == Call::signal; });
  return static_cast<std::size_t>(found - jobs.begin());
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

std::size_t Lane::count(Call call) const noexcept {
  std::size_t count = 0;
  for (const Job& job : pending()) count += job.call == call ? 1 : 0;
  for (const Worker& worker : used_workers()) count += worker.job.call == call ? 1 : 0;
  return count;
}

std::size_t Lane::count_shares(Call call) const noexcept {
  std::size_t count = 0;
  for (const Job& job : pending()) count += job.call == call && !job.surplus ? 1 : 0;
  for (const Worker& worker : used_workers()) count += worker.job.call == call ? 1 : 0;
  return count;
}

std::size_t Lane::pending_of(uid_t user) const noexcept {
  const auto jobs = pending();
  return static_cast<std::size_t>(
      std::count_if(jobs.begin(), jobs.end(), [user](const Job& job) { return job.user == user; }));
}

std::size_t Lane::bytes_of(uid_t user) const noexcept {
  std::size_t bytes = 0;
  for (const Job& job : pending()) bytes += job.user == user ? job.size : 0;
  for (const Worker& worker : used_workers()) bytes += worker.job.user == user ? worker.job.size : 0;
  return bytes;
}

bool Lane::crowded_by(uid_t user, const Limits& limits) const noexcept {
  if (pending_ < most_of_a_user) return false;
  const std::size_t waiting = pending_of(user);
  if (waiting < most_of_a_user) return false;
  if (limits.strange || waiting >= most_of_a_user_at_all) return true;
  const auto long_ago = [user, before = Clock::now() - long_for_a_call](const Job& job) {
    return job.call != Call::none && job.user == user && job.since < before;
  };
  const auto jobs = pending();
  const auto workers = used_workers();
  return std::any_of(jobs.begin(), jobs.end(), long_ago) ||
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
  used_ = 0;
  threads = starting = sleeping = woken = 0;
  added = PTHREAD_COND_INITIALIZER;
}

}  // namespace memif::deferred
