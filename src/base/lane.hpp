// One kind of deferred calls: what waits, and the threads that are at it. The bookkeeping of deferred.cpp, whose mutex
// guards it: nothing here makes a system call.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <pthread.h>
#include <span>
#include <sys/types.h>

namespace memif::deferred {

using Clock = std::chrono::steady_clock;

enum class Call : std::uint8_t { none, close, signal, unmap };

// Nothing but zeros where there is none, so that the tables are not part of the program's file.
struct Job {
  Call call = Call::none;
  uid_t user = 0;
  int fd = 0;
  void* address = nullptr;  // to be unmapped
  std::size_t size = 0;
  Clock::time_point since{};  // when it was added, or begun
  bool surplus = false;       // when it was added its user had as many waiting as are that user's share
};

class Lane {
 public:
  static constexpr std::size_t capacity = 16384;
  static constexpr std::size_t most_threads = 128;

  // A user who has none yet may have one beyond `threads`, as long as there are most_threads at all: those who hold up
  // many take nobody else's.
  struct Limits {
    std::size_t threads = 0, threads_of_a_user = 0;
    bool strange = false;  // nothing is known of what it closes
  };

  struct Worker {
    bool taken = false;     // by a thread
    bool ended = false;     // which waits to be joined
    bool close_it = false;  // what it signals is to be closed then
    bool promised = false;  // and has its place
    pthread_t thread{};
    Lane* lane = nullptr;
    Job job;
  };

  // A place in the table is promised to what may have to wait in it some time.
  bool promise() noexcept;
  void give_back() noexcept { --promised_; }
  // `promised`: to this job. False: there is no place.
  bool add(const Job& asked, bool promised) noexcept;
  std::size_t room() const noexcept { return capacity - pending_ - promised_; }

  // Something that may be done now, if only there is a thread for it.
  bool has_next(const Limits& limits) noexcept { return next(limits) != pending_; }
  bool take(Worker& worker, const Limits& limits) noexcept;
  void finish(Worker& worker) noexcept;
  Job take_last() noexcept;

  // Signals of the descriptor: one that waits (forget() drops it), or a thread that is at it.
  bool waits(int fd) const noexcept { return find_signal(fd) != pending_; }
  bool forget(int fd) noexcept;
  Worker* signalling(int fd) noexcept;

  bool idle() const noexcept { return pending_ == 0 && busy() == 0; }
  std::size_t outstanding() const noexcept { return pending_ + busy(); }
  std::size_t count(Call call) const noexcept;         // at it, or waiting
  std::size_t count_shares(Call call) const noexcept;  // but for what users have beyond their share
  std::size_t bytes_of(uid_t user) const noexcept;
  // So many of this user's wait that more would be too many, if they are not about to be done.
  bool crowded_by(uid_t user, const Limits& limits) const noexcept;

  // For a thread that starts; none if there are most_threads.
  Worker* free_worker() noexcept;
  std::span<Worker> used_workers() noexcept { return {workers_.data(), used_}; }

  // A child of fork() has none of the threads.
  void forget_threads() noexcept;
  void forget_jobs() noexcept { pending_ = refused_ = 0; }

  std::size_t threads = 0, starting = 0;  // of these, those that do not run yet
  std::size_t sleeping = 0, woken = 0;    // of these, those that are about to wake up
  pthread_cond_t added = PTHREAD_COND_INITIALIZER;

 private:
  // Those that wait, in the order in which they came.
  Job& job(std::size_t index) noexcept { return jobs_[(first_ + index) % capacity]; }
  const Job& job(std::size_t index) const noexcept { return jobs_[(first_ + index) % capacity]; }
  template <class Property>
  std::size_t count_pending(Property has) const noexcept;
  std::size_t next(const Limits& limits) noexcept;
  std::size_t find_signal(int fd) const noexcept;
  void remove(std::size_t index) noexcept;
  std::size_t busy() const noexcept;
  bool has_its_share(uid_t user) const noexcept;
  std::size_t threads_of(uid_t user) const noexcept;
  std::span<const Worker> used_workers() const noexcept { return {workers_.data(), used_}; }

  std::array<Worker, most_threads> workers_{};
  std::size_t used_ = 0;  // of these, the first so many have been taken some time
  std::array<Job, capacity> jobs_{};
  std::size_t first_ = 0, pending_ = 0, promised_ = 0;
  std::size_t refused_ = 0;  // so many at the front have to wait until a thread has finished
};

}  // namespace memif::deferred
