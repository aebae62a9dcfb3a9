#include "base/deferred.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <mutex>
#include <poll.h>
#include <pthread.h>
#include <span>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include <memif/detail/uncancelled.hpp>

#include "base/signals_blocked.hpp"

namespace memif::deferred {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t max_threads = 32, max_threads_of_a_user = 4;
constexpr std::size_t max_pending = 4096;
// A user's that may wait before no more is taken from it, once a call of its has taken so long; and all users'.
constexpr std::size_t most_of_a_user = 64, most_of_all = 1024;
constexpr auto long_for_a_close = 100ms;
constexpr auto idle_time = 20ms;    // after which a thread ends
constexpr auto longest_end = 50ms;  // that a program\'s end waits for them
constexpr std::size_t stack_size = std::size_t{128} << 10;

enum class Call { none, close, signal, unmap };

struct Job {
  Call call = Call::none;
  uid_t user = nobody;
  int fd = -1;
  Closing what = Closing::whatever;
  void* address = nullptr;  // to be unmapped
  std::size_t size = 0;
};

timespec in(Clock::duration time) noexcept {
  const auto end = (Clock::now() + time).time_since_epoch();
  return {.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(end).count(), .tv_nsec = (end % 1s).count()};
}

bool has_room(int fd) noexcept {
  pollfd entry{fd, POLLOUT, 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLOUT) != 0;
}

void signal_eventfd(int fd) noexcept {
  const std::uint64_t one = 1;
  if (!has_room(fd)) return;  // a full counter wakes its reader as well as one more would
  while (::write(fd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void perform(const Job& job) noexcept {
  switch (job.call) {
    case Call::none:
      return;
    case Call::close:
      ::close(job.fd);
      return;
    case Call::signal:
      return signal_eventfd(job.fd);
    case Call::unmap:
      ::munmap(job.address, job.size);
      return;
  }
}

// Where all else is worse: no more fits into the table, or no thread can be had and too much waits for one.
void perform_here(const Job& job) noexcept {
  const int flags = job.call == Call::signal ? ::fcntl(job.fd, F_GETFL) : O_NONBLOCK;
  if (flags >= 0 && (flags & O_NONBLOCK) != 0) perform(job);
}

// An eventfd makes close() wait only where a peer has it in an epoll set of its own.
bool harmless(const Job& job) noexcept { return job.call != Call::close || job.what == Closing::eventfd; }

// How many may be outstanding before no more connections are taken: a quarter of what this process may have open is for
// others to hold.
std::size_t most_of_process() noexcept {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return most_of_all;
  return std::min<std::size_t>(most_of_all, limit.rlim_cur / 4);
}

// One for the process. Its members are what a program has from its start to its end: threads may still run while
// static objects are destroyed.
class Pool {
  using Lock = std::unique_lock<std::mutex>;

 public:
  void close(Job job) noexcept;
  void signal(const Job& job) noexcept;
  void unmap(const Job& job) noexcept;
  bool overloaded(uid_t user) noexcept {
    const Lock lock(mutex_);
    return is_overloaded(user);
  }
  bool full() noexcept;
  std::size_t count() noexcept;

  // The program ends: so do threads that wait for nothing.
  void end() noexcept;

  // Around fork(): a child has the descriptors, and none of the threads.
  void lock() noexcept { mutex_.lock(); }
  void unlock() noexcept { mutex_.unlock(); }
  void forget_threads() noexcept;

 private:
  struct Worker {
    bool taken = false;  // by a thread
    bool ended = false;  // which waits to be joined
    pthread_t thread{};
    Job job;
    bool close_it = false;  // and then the same descriptor is to be closed
    Clock::time_point since{};
  };
  static void* run(void* worker) noexcept;
  void add(const Job& job, Lock& lock) noexcept;
  void remove(std::size_t index) noexcept { jobs_[index] = jobs_[--pending_]; }
  std::size_t find_signal(int fd) const noexcept;
  Worker* signalling(int fd) noexcept;
  bool is_signalling(int fd) const noexcept { return const_cast<Pool*>(this)->signalling(fd) != nullptr; }
  void work(Worker& self) noexcept;
  bool start(Worker& worker) noexcept;
  void join_ended() noexcept;
  bool take(Worker& worker) noexcept;
  bool is_overloaded(uid_t user) const noexcept;
  const Job* next() const noexcept;
  std::size_t threads_of(uid_t user) const noexcept;
  std::size_t outstanding() const noexcept { return pending_ + busy(); }
  std::size_t busy() const noexcept;
  std::span<const Job> pending() const noexcept { return {jobs_.data(), pending_}; }
  void start_thread(Lock& lock) noexcept;
  void perform_harmless(Lock& lock) noexcept;

  std::mutex mutex_;
  pthread_cond_t added_ = PTHREAD_COND_INITIALIZER;
  pthread_cond_t ended_ = PTHREAD_COND_INITIALIZER;
  bool ending_ = false;
  std::array<Job, max_pending> jobs_{};
  std::size_t pending_ = 0;
  std::array<Worker, max_threads> workers_{};
  std::size_t threads_ = 0, idle_ = 0;
};

constinit Pool pool;

// Before the program runs: a fork() while another thread is about to do it would find the mutex locked for good.
const bool forks_prepared =
    ::pthread_atfork([] { pool.lock(); }, [] { pool.unlock(); }, [] { pool.forget_threads(); }) == 0;

struct AtExit {
  AtExit() noexcept = default;
  AtExit(const AtExit&) = delete;
  AtExit& operator=(const AtExit&) = delete;
  ~AtExit() { pool.end(); }
} at_exit;

std::size_t Pool::busy() const noexcept {
  return static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(),
                                                [](const Worker& worker) { return worker.job.call != Call::none; }));
}

std::size_t Pool::threads_of(uid_t user) const noexcept {
  return static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(), [user](const Worker& worker) {
    return worker.job.call != Call::none && worker.job.user == user;
  }));
}

Pool::Worker* Pool::signalling(int fd) noexcept {
  const auto found = std::find_if(workers_.begin(), workers_.end(), [fd](const Worker& worker) {
    return worker.job.fd == fd && worker.job.call == Call::signal;
  });
  return found != workers_.end() ? &*found : nullptr;
}

std::size_t Pool::find_signal(int fd) const noexcept {
  const auto jobs = pending();
  const auto found =
      std::find_if(jobs.begin(), jobs.end(), [fd](const Job& job) { return job.fd == fd && job.call == Call::signal; });
  return static_cast<std::size_t>(found - jobs.begin());
}

// One of a user who has not all the threads that a user may have.
const Job* Pool::next() const noexcept {
  uid_t last = nobody;
  bool refused = false;
  for (const Job& job : pending()) {
    if (refused && job.user == last) continue;
    if (job.call == Call::signal && is_signalling(job.fd)) continue;
    if (threads_of(job.user) < max_threads_of_a_user) return &job;
    last = job.user;
    refused = true;
  }
  return nullptr;
}

bool Pool::take(Worker& worker) noexcept {
  const Job* const job = next();
  if (job == nullptr) return false;
  worker.job = *job;
  worker.since = Clock::now();
  remove(static_cast<std::size_t>(job - jobs_.data()));
  return true;
}

// The table has room for far more than most_of_all, beyond which connections and descriptors are not taken any more. A
// program that ends thousands of good links at once may need more, all of which are eventfds.
void Pool::add(const Job& job, Lock& lock) noexcept {
  const int error = errno;
  if (pending_ == max_pending) {
    lock.unlock();
    perform_here(job);
  } else {
    jobs_[pending_++] = job;
    start_thread(lock);
  }
  errno = error;
}

// A signal that a thread is at comes first: its descriptor's number must not be another's before it is done.
void Pool::close(Job job) noexcept {
  Lock lock(mutex_);
  if (const std::size_t signal = find_signal(job.fd); signal != pending_) remove(signal);
  if (Worker* const worker = signalling(job.fd))
    worker->close_it = true;
  else
    add(job, lock);
}

// What is dropped here is the peer's own loss, or of its user's other processes.
void Pool::signal(const Job& job) noexcept {
  Lock lock(mutex_);
  if (find_signal(job.fd) != pending_ || is_overloaded(job.user)) return;
  add(job, lock);
}

void Pool::unmap(const Job& job) noexcept {
  Lock lock(mutex_);
  add(job, lock);
}

// Wakes a thread, or starts one where there is something that it may do.
void Pool::start_thread(Lock& lock) noexcept {
  if (idle_ != 0) {
    ::pthread_cond_signal(&added_);
    return;
  }
  if (threads_ == max_threads || next() == nullptr) return;
  join_ended();
  Worker& worker = *std::find_if(workers_.begin(), workers_.end(), [](const Worker& one) { return !one.taken; });
  worker.taken = true;
  ++threads_;
  if (start(worker)) return;
  worker.taken = false;
  --threads_;
  if (threads_ == 0) perform_harmless(lock);
}

bool Pool::start(Worker& worker) noexcept {
  const SignalsBlocked blocked;
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return false;
  ::pthread_attr_setstacksize(&attributes, stack_size);
  int error = ::pthread_create(&worker.thread, &attributes, &Pool::run, &worker);
  ::pthread_attr_destroy(&attributes);
  // A program whose thread-local variables need more.
  if (error == EINVAL) error = ::pthread_create(&worker.thread, nullptr, &Pool::run, &worker);
  return error == 0;
}

// They have nothing more to do but to end.
void Pool::join_ended() noexcept {
  const Uncancelled uncancelled;
  for (Worker& worker : workers_) {
    if (!worker.ended) continue;
    ::pthread_join(worker.thread, nullptr);
    worker = {};
  }
}

// Those that wait for somebody are left to the system, after a moment.
void Pool::end() noexcept {
  const Lock lock(mutex_);
  ending_ = true;
  ::pthread_cond_broadcast(&added_);
  const timespec until = in(longest_end);
  while (threads_ != 0 &&
         ::pthread_cond_clockwait(&ended_, mutex_.native_handle(), CLOCK_MONOTONIC, &until) != ETIMEDOUT) {
  }
  join_ended();
  ending_ = false;
}

// No thread can be had (a limit of the system's, a sandbox). Everything stays until one can, or until it is too much:
// then what is likely to wait for nobody is done here.
void Pool::perform_harmless(Lock& lock) noexcept {
  if (pending_ <= most_of_process()) return;
  for (std::size_t i = 0; i < pending_;) {
    const Job job = jobs_[i];
    if (!harmless(job)) {
      ++i;
      continue;
    }
    remove(i);
    lock.unlock();
    perform_here(job);
    lock.lock();
  }
}

void* Pool::run(void* worker) noexcept {
  ::pthread_setname_np(::pthread_self(), "memif-close");
  pool.work(*static_cast<Worker*>(worker));
  return nullptr;
}

void Pool::work(Worker& self) noexcept {
  Lock lock(mutex_);
  for (;;) {
    if (take(self)) {
      start_thread(lock);  // for the next, in case that this one waits
      const Job job = self.job;
      lock.unlock();
      perform(job);
      lock.lock();
      if (std::exchange(self.close_it, false)) {
        self.job.call = Call::close;
        const Job closing = self.job;
        lock.unlock();
        perform(closing);
        lock.lock();
      }
      self.job = {};
      continue;
    }
    if (ending_) break;
    const timespec until = in(idle_time);
    ++idle_;
    const int waited = ::pthread_cond_clockwait(&added_, mutex_.native_handle(), CLOCK_MONOTONIC, &until);
    --idle_;
    if (waited == ETIMEDOUT && next() == nullptr) break;
  }
  self.ended = true;
  --threads_;
  ::pthread_cond_signal(&ended_);
}

bool Pool::is_overloaded(uid_t user) const noexcept {
  if (pending_ >= max_pending / 2) return true;
  std::size_t count = 0, strange = 0;
  for (const Job& job : pending()) {
    if (job.user != user) continue;
    ++count;
    strange += job.call == Call::close && job.what == Closing::whatever ? 1 : 0;
  }
  if (strange >= most_of_a_user) return true;  // which no good peer sends
  if (count < most_of_a_user) return false;
  return std::any_of(workers_.begin(), workers_.end(), [&](const Worker& worker) {
    return worker.job.call != Call::none && worker.job.user == user && Clock::now() - worker.since > long_for_a_close;
  });
}

std::size_t Pool::count() noexcept {
  Lock lock(mutex_);
  if (pending_ != 0 && threads_ == 0) start_thread(lock);
  return outstanding();
}

bool Pool::full() noexcept { return count() > most_of_process(); }

void Pool::forget_threads() noexcept {
  while (pending_ != 0) {
    const auto jobs = pending();
    const auto signal = std::find_if(jobs.begin(), jobs.end(), [](const Job& job) { return job.call == Call::signal; });
    if (signal == jobs.end()) break;
    remove(static_cast<std::size_t>(signal - jobs.begin()));
  }
  for (const Worker& worker : workers_)
    if (worker.close_it && pending_ != max_pending)
      jobs_[pending_++] = {.call = Call::close, .user = worker.job.user, .fd = worker.job.fd, .what = worker.job.what};
  workers_ = {};
  threads_ = idle_ = 0;
  added_ = PTHREAD_COND_INITIALIZER;
  ended_ = PTHREAD_COND_INITIALIZER;
  ending_ = false;
  mutex_.unlock();
}

}  // namespace

void close(int fd, uid_t user, Closing what) noexcept {
  pool.close({.call = Call::close, .user = user, .fd = fd, .what = what});
}
void signal(int fd, uid_t user) noexcept { pool.signal({.call = Call::signal, .user = user, .fd = fd}); }
void unmap(void* address, std::size_t size, uid_t user) noexcept {
  pool.unmap({.call = Call::unmap, .user = user, .address = address, .size = size});
}
bool overloaded(uid_t user) noexcept { return pool.overloaded(user); }
bool full() noexcept { return pool.full(); }
std::size_t outstanding() noexcept { return pool.count(); }

}  // namespace memif::deferred
