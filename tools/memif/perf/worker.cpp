#include "perf/worker.hpp"

#include <algorithm>
#include <ctime>
#include <pthread.h>
#include <sched.h>
#include <thread>
#include <utility>

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_reflected = 256;  // at once
constexpr auto short_nap = 1ms;              // so often one of several queues looks after the others
constexpr auto nap = 20ms;                   // so often a waiting thread looks whether it is to stop

void run_on(unsigned cpu) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

std::uint64_t thread_cpu_ns() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

PerfWorker::PerfWorker(Job job) : job_(std::move(job)), in_(job_.reflect ? most_reflected : 0) {
  if (job_.traffic != nullptr) sender_.emplace(*job_.tx, *job_.traffic, job_.pace, job_.series, counts_);
  if (receives() && !job_.reflect) receiver_.emplace(job_.receiver, counts_);
  sending_ = sends();
}

const char* PerfWorker::does() const noexcept {
  if (job_.reflect) return "reflect";
  return !sends() ? "receive" : receives() ? "exchange" : "send";
}

void PerfWorker::run() {
  if (job_.cpu) run_on(*job_.cpu);
  if (sender_) sender_->begin();
  for (;;) {
    const unsigned orders = orders_.load(std::memory_order_relaxed);
    if (orders != obeyed_) obey(orders);
    if ((orders & no_running) != 0) break;
    if (turn() == 0)
      idle();
    else
      idle_turns_ = 0;
  }
  tell();
}

void PerfWorker::obey(unsigned orders) {
  sending_ = sends() && (orders & no_sending) == 0;
  const bool question = orders / one_question != obeyed_ / one_question;
  obeyed_ = orders;
  if (!question) return;
  tell();
  answered_.store(orders / one_question, std::memory_order_release);
}

void PerfWorker::tell() {
  const std::lock_guard lock(news_lock_);
  news_.cpu_ns = thread_cpu_ns();
  if (!receiver_) return;
  news_.latency.add(receiver_->take_latency());
  news_.expected = receiver_->expected();
  news_.arrived = counts_.arrived.get();
}

PerfNews PerfWorker::take_news() {
  const std::lock_guard lock(news_lock_);
  PerfNews news = news_;
  news_.latency = {};
  return news;
}

inline std::size_t PerfWorker::turn() {
  std::size_t moved = 0;
  if (job_.reflect) {
    for (RxQueue* rx : job_.rx) moved += reflect(*rx);
    return moved;
  }
  if (sending_) {
    moved = sender_->send();
    if (moved == 0 && sender_->finished()) sending_ = false;
  } else if (sender_) {
    drained_.store(sender_->drained(), std::memory_order_relaxed);
  }
  for (RxQueue* rx : job_.rx) moved += receiver_->receive(*rx);
  return moved;
}

// No more than the peer has room for, so that a reflector loses nothing.
std::size_t PerfWorker::reflect(RxQueue& from) {
  const std::size_t room = std::min(job_.tx->room(), in_.size());
  if (room == 0) return 0;
  RxBurst burst = from.receive(std::span(in_).first(room));
  if (burst.empty()) return 0;
  std::uint64_t bytes = 0;
  for (const Buffer& buffer : burst.buffers()) bytes += buffer.size();
  counts_.received.add(burst.size());
  counts_.received_bytes.add(bytes);
  counts_.arrived.add(burst.size());
  counts_.sent.add(job_.tx->forward(burst));
  counts_.sent_bytes.add(bytes);
  return burst.size();
}

// Nothing moved. A receiver waits as its mode says. A sender that is ahead of its rate sleeps if the pause is long; one
// whose peer takes nothing lets others run now and then, since the peer may be waiting for this CPU.
void PerfWorker::idle() {
  const bool waits = receives() && !(job_.reflect && job_.tx->room() == 0);
  const auto longest = job_.rx.size() > 1 ? short_nap : nap;
  const auto pause = sending_ ? sender_->pause() : 0ns;
  if (waits && !sending_) {
    job_.rx.front()->wait(longest);
  } else if (pause > 200us) {
    if (waits)
      job_.rx.front()->wait(std::min<std::chrono::nanoseconds>(pause / 4, longest));
    else
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(pause / 4, nap));
  } else if (++idle_turns_ % 256 == 0) {
    std::this_thread::yield();
  }
}

}  // namespace memif::tool
