#include "perf/threads.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>
#include <sched.h>
#include <utility>

#include "common/command.hpp"

namespace memif::tool {
namespace {

void check_cpus(const std::vector<unsigned>& cpus) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;  // more CPUs than a set holds
  for (const unsigned cpu : cpus)
    if (!CPU_ISSET(cpu, &allowed)) throw UsageError(fmt::format("--cpus: CPU {} is none that this may run on", cpu));
}

PerfSums sums_of(const PerfWorker& worker) {
  const PerfCounts& counts = worker.counts();
  return {.sent = counts.sent.get(),
          .sent_bytes = counts.sent_bytes.get(),
          .received = counts.received.get(),
          .received_bytes = counts.received_bytes.get(),
          .arrived = counts.arrived.get(),
          .foreign = counts.foreign.get(),
          .out_of_order = counts.out_of_order.get(),
          .duplicates = counts.duplicates.get()};
}

}  // namespace

PerfThreads::PerfThreads(Mode mode, PerfLoad load, std::vector<unsigned> cpus)
    : mode_(mode), load_(std::move(load)), cpus_(std::move(cpus)) {
  check_cpus(cpus_);
}

// What is reflected goes back on the queue of its number or, where there are fewer of these, is shared among them: a
// queue is one thread's.
void PerfThreads::add(const Port& port, PerfRole role) {
  const bool reflects = role == PerfRole::reflect || role == PerfRole::partner;
  const std::size_t receivers = port.rx_queues(), senders = port.tx_queues();
  for (std::size_t i = 0; i < (reflects ? std::min(receivers, senders) : std::max(receivers, senders)); ++i) {
    PerfWorker::Job job{.reflect = reflects, .queue = static_cast<std::uint16_t>(i)};
    if (i < senders && role != PerfRole::receive) job.tx = &port.interface().tx(i);
    if (role != PerfRole::send)
      for (std::size_t rx = i; rx < receivers; rx += reflects ? senders : receivers) job.rx.push_back(&port.rx(rx));
    if (job.tx == nullptr && job.rx.empty()) continue;
    for (RxQueue* rx : job.rx) rx->up();
    if (job.tx != nullptr) job.tx->up();
    if (!cpus_.empty()) job.cpu = cpus_[members_.size() % cpus_.size()];
    members_.push_back({std::make_unique<PerfWorker>(std::move(job), mode_, load_), role});
  }
}

void PerfThreads::start() {
  const auto senders =
      std::count_if(members_.begin(), members_.end(), [](const Member& member) { return member.worker->sends(); });
  load_.rate /= static_cast<double>(std::max<std::ptrdiff_t>(senders, 1));
  for (const Member& member : members_) threads_.emplace_back([worker = member.worker.get()] { worker->run(); });
}

void PerfThreads::stop_sending() noexcept {
  for (const Member& member : members_) member.worker->stop_sending();
}

bool PerfThreads::drained() const noexcept {
  return std::all_of(members_.begin(), members_.end(),
                     [](const Member& member) { return !member.worker->sends() || member.worker->drained(); });
}

void PerfThreads::stop() noexcept {
  for (const Member& member : members_) member.worker->stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

PerfSums PerfThreads::sums() const {
  PerfSums total;
  for (const Member& member : members_)
    if (member.role != PerfRole::partner) total += sums_of(*member.worker);
  return total;
}

std::uint64_t PerfThreads::expected() const {
  std::map<std::uint16_t, std::uint64_t> highest;
  for (const Member& member : members_)
    for (const auto& [queue, sequence] : member.worker->sequences())
      highest[queue] = std::max(highest[queue], sequence.expected());
  return std::accumulate(highest.begin(), highest.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& queue) { return sum + queue.second; });
}

void PerfThreads::report(PerfResult& result) const {
  for (const Member& member : members_) {
    if (member.role != PerfRole::partner) result.latency.add(member.worker->latency());
    result.queues.push_back({member.worker->queue(), member.worker->does(), sums_of(*member.worker)});
  }
}

}  // namespace memif::tool
