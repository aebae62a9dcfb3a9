#include "perf/threads.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <sched.h>
#include <utility>

#include "common/command.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

constexpr auto longest_answer = 100ms;  // a thread that sleeps looks up five times in that time

bool reflects(PerfRole role) noexcept { return role == PerfRole::reflect || role == PerfRole::partner; }

// Of the two halves of what a thread counts, those that belong to a direction.
PerfSums part_of(const PerfSums& all, bool sent, bool received) {
  PerfSums part = received ? all : PerfSums{};
  part.sent = sent ? all.sent : 0;
  part.sent_bytes = sent ? all.sent_bytes : 0;
  part.stalls = sent ? all.stalls : 0;
  return part;
}

}  // namespace

void check_cpus(const std::vector<unsigned>& cpus) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;  // more CPUs than a set holds
  for (const unsigned cpu : cpus)
    if (!CPU_ISSET(cpu, &allowed)) throw UsageError(fmt::format("--cpus: CPU {} is none that this may run on", cpu));
}

// What is reflected goes back on the queue of its number or, where there are fewer of these, is shared among them: a
// queue is one thread's.
void PerfThreads::add(const PerfPlace& place) {
  const std::size_t receivers = place.port->rx_queues(), senders = place.port->tx_queues();
  const std::size_t share = std::max<std::size_t>(senders, 1);
  const std::size_t queues = reflects(place.role) ? std::min(receivers, senders) : std::max(receivers, senders);
  PerfPace pace = place.pace;  // of one of those that send
  pace.rate /= static_cast<double>(share);
  for (std::size_t i = 0; i < queues; ++i) {
    pace.limit = place.pace.limit / share + (i < place.pace.limit % share ? 1 : 0);
    add_worker(place, i, pace);
  }
}

void PerfThreads::add_worker(const PerfPlace& place, std::size_t queue, const PerfPace& pace) {
  const std::size_t receivers = place.port->rx_queues(), senders = place.port->tx_queues();
  TxQueue* const tx = queue < senders ? &place.port->interface().tx(queue) : nullptr;
  const bool sends = place.role == PerfRole::send || place.role == PerfRole::exchange;
  PerfWorker::Job job{.reflect = reflects(place.role), .queue = static_cast<std::uint16_t>(queue), .pace = pace};
  if (place.role != PerfRole::receive) job.tx = tx;
  if (sends && tx != nullptr) job.traffic = place.traffic;
  if (place.role != PerfRole::send)
    for (std::size_t rx = queue; rx < receivers; rx += job.reflect ? senders : receivers)
      job.rx.push_back(&place.port->rx(rx));
  if (job.tx == nullptr && job.rx.empty()) return;
  job.series = static_cast<std::uint16_t>(place.sent_series.first + queue);
  job.receiver = place.receiver;
  job.receiver.tx = tx;
  for (RxQueue* rx : job.rx) rx->up();
  if (tx != nullptr) tx->up();
  if (!cpus_.empty()) job.cpu = cpus_[members_.size() % cpus_.size()];
  members_.push_back({std::make_unique<PerfWorker>(std::move(job)), place.role, place.sends, place.receives, {}});
}

void PerfThreads::start() {
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

PerfSums PerfThreads::sums(unsigned direction) const {
  PerfSums total;
  for (const Member& member : members_)
    if (member.role != PerfRole::partner)
      total += part_of(sums_of(member.worker->counts()), member.sends == direction, member.receives == direction);
  return total;
}

std::array<PerfArrivals, PerfThreads::directions> PerfThreads::ask() {
  const auto end = Clock::now() + longest_answer;
  for (const Member& member : members_) member.worker->ask();
  const auto asked = [](const Member& member) { return member.worker->asked(); };
  while (!threads_.empty() && std::any_of(members_.begin(), members_.end(), asked) && Clock::now() < end)
    std::this_thread::sleep_for(20us);
  return gather();
}

// A series may arrive on several queues, each of which has a part of it.
std::array<PerfArrivals, PerfThreads::directions> PerfThreads::gather() {
  std::array<PerfArrivals, directions> result;
  std::map<std::pair<unsigned, std::uint16_t>, std::uint64_t> highest;  // by direction and series
  for (Member& member : members_) {
    member.news = member.worker->take_news();
    if (member.role == PerfRole::partner) continue;
    PerfArrivals& arrivals = result[member.receives];
    arrivals.latency.add(member.news.latency);
    arrivals.arrived += member.news.arrived;
    for (const auto& [series, expected] : member.news.expected) {
      std::uint64_t& most = highest[{member.receives, series}];
      most = std::max(most, expected);
    }
  }
  for (const auto& [key, expected] : highest) result[key.first].expected += expected;
  return result;
}

std::uint64_t PerfThreads::last_ns() const noexcept {
  std::uint64_t last = 0;
  for (const Member& member : members_) last = std::max(last, member.worker->last_ns());
  return last;
}

std::vector<PerfQueue> PerfThreads::queues() const {
  std::vector<PerfQueue> queues;
  for (const Member& member : members_)
    queues.push_back(
        {member.worker->queue(), member.worker->does(), sums_of(member.worker->counts()), member.news.cpu_ns});
  return queues;
}

}  // namespace memif::tool
