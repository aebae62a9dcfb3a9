#include "base/deferred.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <mutex>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include <memif/detail/uncancelled.hpp>

#include "base/lane.hpp"
#include "base/signals_blocked.hpp"

namespace memif::deferred {
namespace {

using namespace std::chrono_literals;

// Lanes, by Kind, and that of the signals. Those of memory only take time, the others may wait forever.
constexpr std::size_t lane_count = 4, signals = 3;
constexpr std::array<Lane::Limits, lane_count> limits{{{.threads = 32, .threads_of_a_user = 4, .strange = true},
                                                       {.threads = 32, .threads_of_a_user = 2},
                                                       {.threads = 8, .threads_of_a_user = 2},
                                                       {.threads = 32, .threads_of_a_user = 2}}};

constexpr std::size_t most_strange = 1024;  // descriptors that may wait before no more is taken, twice as many of all
constexpr std::size_t spare_places = 64;    // for those that are on their way when no more is taken
constexpr auto idle_time = 20ms;            // after which a thread ends that is not kept
constexpr auto longest_end = 50ms;          // that a program's end waits for them
constexpr std::size_t stack_size = std::size_t{128} << 10;

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

// Whoever has something closed may be a data thread, alone on its processor and in real time: what it starts is to run
// on the others, as the process's first thread does; or, where that is such a thread itself, wherever the process may.
// Nothing is asked for that is so anyway: a sandbox may forbid it.
void make_ordinary(pthread_attr_t& attributes) noexcept {
  if (::sched_getscheduler(0) > SCHED_OTHER) {
    const sched_param none{};
    ::pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    ::pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
    ::pthread_attr_setschedparam(&attributes, &none);
  }
  cpu_set_t own, processors;
  if (::sched_getaffinity(0, sizeof own, &own) != 0 ||
      ::sched_getaffinity(::getpid(), sizeof processors, &processors) != 0)
    return;
  if (::sched_getscheduler(::getpid()) > SCHED_OTHER) std::memset(&processors, 0xff, sizeof processors);
  if (!CPU_EQUAL(&own, &processors)) ::pthread_attr_setaffinity_np(&attributes, sizeof processors, &processors);
}

// How many strange ones may be outstanding before no more connections are taken: a quarter of what this process may
// have open is for others to hold.
std::size_t most_strange_of_process() noexcept {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return most_strange;
  return std::min<std::size_t>(most_strange, limit.rlim_cur / 4);
}

// One for the process. Its members are what a program has from its start to its end: threads may still run while
// static objects are destroyed.
class Pool {
  using Lock = std::unique_lock<std::mutex>;

 public:
  void keep() noexcept;
  void let_go() noexcept;
  bool promise(Kind kind) noexcept;
  void give_back(Kind kind) noexcept;
  void close(const Job& job, Kind kind, bool promised) noexcept;
  void unmap(const Job& job, bool promised) noexcept;
  void signal(const Job& job) noexcept;
  bool overloaded(uid_t user) noexcept;
  bool full() noexcept;
  std::size_t unmapping(uid_t user) noexcept;
  std::size_t outstanding() noexcept;
  std::size_t lost() noexcept;

  // The program ends: so do threads that wait for nothing.
  void end() noexcept;

  // Around fork(): a child has the descriptors, and none of the threads.
  void lock() noexcept { mutex_.lock(); }
  void unlock() noexcept { mutex_.unlock(); }
  void forget_threads() noexcept;

 private:
  static void* run(void* worker) noexcept;
  const Lane::Limits& limits_of(const Lane& lane) const noexcept {
    return limits[static_cast<std::size_t>(&lane - lanes_.data())];
  }
  Lane& lane(Kind kind) noexcept { return lanes_[static_cast<std::size_t>(kind)]; }
  bool add(Lane& lane, const Job& job, bool promised) noexcept;
  void wake_or_start(Lane& lane) noexcept;
  void start_thread(Lane& lane) noexcept;
  static bool start(Lane::Worker& worker) noexcept;
  static void join_ended(Lane& lane) noexcept;
  void start_missing() noexcept;
  void work(Lane::Worker& self) noexcept;
  void do_what_can_be_done(Lane::Worker& self, Lock& lock) noexcept;
  bool sleep(Lane& lane) noexcept;
  bool has_threads() const noexcept;

  std::mutex mutex_;
  pthread_cond_t ended_ = PTHREAD_COND_INITIALIZER;
  std::size_t users_ = 0;  // who want that each lane has a thread
  bool ending_ = false;
  std::size_t lost_ = 0;
  std::array<Lane, lane_count> lanes_{};
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

void Pool::keep() noexcept {
  const Lock lock(mutex_);
  ++users_;
  start_missing();
}

void Pool::let_go() noexcept {
  const Lock lock(mutex_);
  if (--users_ != 0) return;
  for (Lane& lane : lanes_) ::pthread_cond_broadcast(&lane.added);
}

bool Pool::promise(Kind kind) noexcept {
  const Lock lock(mutex_);
  return lane(kind).promise();
}

void Pool::give_back(Kind kind) noexcept {
  const Lock lock(mutex_);
  lane(kind).give_back();
}

// What has no place is lost rather than done here, where it could wait for somebody: nearly all have theirs beforehand.
bool Pool::add(Lane& lane, const Job& job, bool promised) noexcept {
  const int error = errno;
  const bool added = lane.add(job, promised);
  if (added)
    wake_or_start(lane);
  else
    ++lost_;
  errno = error;
  return added;
}

// A signal that a thread is at comes first: its descriptor's number must not be another's before it is done.
void Pool::close(const Job& job, Kind kind, bool promised) noexcept {
  const Lock lock(mutex_);
  lanes_[signals].forget(job.fd);
  Lane::Worker* const worker = lanes_[signals].signalling(job.fd);
  if (worker == nullptr) {
    add(lane(kind), job, promised);
    return;
  }
  worker->close_it = true;
  worker->promised = promised;
}

// Where no thread can be had at all, this is done at once: it waits for nobody, and the file is still open, so that its
// pages are freed by who closes it.
void Pool::unmap(const Job& job, bool promised) noexcept {
  Lock lock(mutex_);
  Lane& memory = lane(Kind::memory);
  if (!add(memory, job, promised) || memory.threads != 0) return;
  const Job last = memory.take_last();
  lock.unlock();
  perform(last);
}

// What is dropped here is the peer's own loss, or of its user's other processes.
void Pool::signal(const Job& job) noexcept {
  const Lock lock(mutex_);
  Lane& lane = lanes_[signals];
  if (lane.waits(job.fd))
    wake_or_start(lane);  // no thread could be had when it was asked for first
  else if (!lane.crowded_by(job.user, limits[signals]) && lane.room() != 0)
    add(lane, job, false);
}

bool Pool::overloaded(uid_t user) noexcept {
  const Lock lock(mutex_);
  return std::any_of(lanes_.begin(), lanes_.begin() + signals,
                     [&](const Lane& lane) { return lane.crowded_by(user, limits_of(lane)); });
}

bool Pool::full() noexcept {
  const Lock lock(mutex_);
  start_missing();
  const Lane& strange = lane(Kind::strange);
  const std::size_t strangers = strange.count(Call::close), most = most_strange_of_process();
  const std::size_t others =
      lane(Kind::eventfd).count_shares(Call::close) + lane(Kind::memory).count_shares(Call::close);
  return strangers > most || strangers + others > 2 * most || strange.room() < spare_places;
}

std::size_t Pool::unmapping(uid_t user) noexcept {
  const Lock lock(mutex_);
  return lane(Kind::memory).bytes_of(user);
}

std::size_t Pool::outstanding() noexcept {
  const Lock lock(mutex_);
  start_missing();
  std::size_t count = 0;
  for (const Lane& lane : lanes_) count += lane.outstanding();
  return count;
}

std::size_t Pool::lost() noexcept {
  const Lock lock(mutex_);
  return lost_;
}

// Where they could not be had before, or in a child of fork().
void Pool::start_missing() noexcept {
  for (Lane& lane : lanes_) {
    const bool nobody_comes = lane.starting == 0 && lane.sleeping == 0;
    if (lane.threads == 0 ? users_ != 0 || !lane.idle() : nobody_comes && lane.has_next(limits_of(lane)))
      start_thread(lane);
  }
}

void Pool::wake_or_start(Lane& lane) noexcept {
  if (lane.sleeping > lane.woken) {
    ++lane.woken;
    ::pthread_cond_signal(&lane.added);
  } else if (lane.starting == 0 && lane.has_next(limits_of(lane))) {
    start_thread(lane);
  }
}

void Pool::start_thread(Lane& lane) noexcept {
  join_ended(lane);
  Lane::Worker* const worker = lane.free_worker();
  if (worker == nullptr) return;
  worker->lane = &lane;
  worker->taken = start(*worker);
  if (!worker->taken) return;
  ++lane.threads;
  ++lane.starting;
}

// Rather a thread as its starter is than none; at last one of any size, for a program whose thread-local variables need
// more.
bool Pool::start(Lane::Worker& worker) noexcept {
  const SignalsBlocked blocked;
  const auto create = [&](const pthread_attr_t* attributes) {
    return ::pthread_create(&worker.thread, attributes, &Pool::run, &worker);
  };
  for (const bool ordinary : {true, false}) {
    pthread_attr_t attributes;
    if (::pthread_attr_init(&attributes) != 0) return false;
    ::pthread_attr_setstacksize(&attributes, stack_size);
    if (ordinary) make_ordinary(attributes);
    const int error = create(&attributes);
    ::pthread_attr_destroy(&attributes);
    if (error == 0 || error == EAGAIN) return error == 0;
  }
  return create(nullptr) == 0;
}

// They have nothing more to do but to end.
void Pool::join_ended(Lane& lane) noexcept {
  const Uncancelled uncancelled;
  for (Lane::Worker& worker : lane.used_workers()) {
    if (!worker.ended) continue;
    ::pthread_join(worker.thread, nullptr);
    worker = {};
  }
}

bool Pool::has_threads() const noexcept {
  return std::any_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.threads != 0; });
}

// Those that wait for somebody are left to the system, after a moment.
void Pool::end() noexcept {
  const Lock lock(mutex_);
  ending_ = true;
  for (Lane& lane : lanes_) ::pthread_cond_broadcast(&lane.added);
  const timespec until = in(longest_end);
  while (has_threads() &&
         ::pthread_cond_clockwait(&ended_, mutex_.native_handle(), CLOCK_MONOTONIC, &until) != ETIMEDOUT) {
  }
  for (Lane& lane : lanes_) join_ended(lane);
  ending_ = false;
}

void* Pool::run(void* worker) noexcept {
  pool.work(*static_cast<Lane::Worker*>(worker));
  return nullptr;
}

void Pool::work(Lane::Worker& self) noexcept {
  Lock lock(mutex_);
  --self.lane->starting;
  do {
    ::pthread_setname_np(::pthread_self(), "memif-close");
    do_what_can_be_done(self, lock);
  } while (!ending_ && sleep(*self.lane));
  self.ended = true;
  --self.lane->threads;
  ::pthread_cond_signal(&ended_);
}

void Pool::do_what_can_be_done(Lane::Worker& self, Lock& lock) noexcept {
  while (self.lane->take(self, limits_of(*self.lane))) {
    // For the next, in case that this one waits; but a thread that starts another gets a heap of its own from the C
    // library for that, 64 MiB of addresses, so one that comes anyway is better.
    if (self.lane->woken == 0) wake_or_start(*self.lane);
    const Job job = self.job;
    lock.unlock();
    perform(job);
    lock.lock();
    self.lane->finish(self);
    if (std::exchange(self.close_it, false))
      add(lane(Kind::eventfd), {.call = Call::close, .user = job.user, .fd = job.fd}, self.promised);
  }
}

// Until there may be something to do: true. The last of its lane that sleeps is the one that is kept, under another
// name, so that one can see that it has nothing to do.
bool Pool::sleep(Lane& lane) noexcept {
  const bool kept = users_ != 0 && lane.sleeping == 0;
  const timespec until = in(idle_time);
  if (kept) ::pthread_setname_np(::pthread_self(), "memif-idle");
  ++lane.sleeping;
  const int waited = kept ? ::pthread_cond_wait(&lane.added, mutex_.native_handle())
                          : ::pthread_cond_clockwait(&lane.added, mutex_.native_handle(), CLOCK_MONOTONIC, &until);
  --lane.sleeping;
  if (lane.woken != 0) --lane.woken;
  return waited != ETIMEDOUT || lane.has_next(limits_of(lane)) || (users_ != 0 && lane.sleeping == 0);
}

void Pool::forget_threads() noexcept {
  for (const Lane::Worker& worker : lanes_[signals].used_workers())
    if (worker.close_it)
      lane(Kind::eventfd).add({.call = Call::close, .user = worker.job.user, .fd = worker.job.fd}, worker.promised);
  lanes_[signals].forget_jobs();
  for (Lane& lane : lanes_) lane.forget_threads();
  ended_ = PTHREAD_COND_INITIALIZER;
  ending_ = false;
  mutex_.unlock();
}

}  // namespace

Helpers::Helpers() noexcept { pool.keep(); }
Helpers::~Helpers() { pool.let_go(); }

Place::Place(Kind kind) noexcept : kind_(kind), held_(pool.promise(kind)) {}
Place& Place::operator=(Place&& other) noexcept {
  if (this == &other) return *this;
  if (release()) pool.give_back(kind_);
  kind_ = other.kind_;
  held_ = other.release();
  return *this;
}
Place::~Place() {
  if (held_) pool.give_back(kind_);
}

Error no_room() { return {Errc::fds_not_closed, "too much that peers have sent is still being closed"}; }

void close(int fd, uid_t user, Place place) noexcept {
  const Kind kind = place.kind();
  pool.close({.call = Call::close, .user = user, .fd = fd}, kind, place.release());
}
void unmap(void* address, std::size_t size, uid_t user, Place place) noexcept {
  pool.unmap({.call = Call::unmap, .user = user, .address = address, .size = size}, place.release());
}
void signal(int fd, uid_t user) noexcept { pool.signal({.call = Call::signal, .user = user, .fd = fd}); }
bool overloaded(uid_t user) noexcept { return pool.overloaded(user); }
bool full() noexcept { return pool.full(); }
std::size_t unmapping(uid_t user) noexcept { return pool.unmapping(user); }
std::size_t outstanding() noexcept { return pool.outstanding(); }
std::size_t lost() noexcept { return pool.lost(); }

}  // namespace memif::deferred
