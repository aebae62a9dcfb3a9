#include "perf/trial.hpp"

#include <algorithm>
#include <utility>

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

// After sending: how long nothing of it may arrive, before and after the first has, until the rest is given up; and how
// long that may go on.
constexpr std::chrono::milliseconds first_silence = 1s, silence = 300ms, longest_drain = 5s;

std::int64_t missing(const PerfArrivals& arrivals) noexcept {
  return static_cast<std::int64_t>(arrivals.expected - std::min(arrivals.expected, arrivals.arrived));
}

// Of all directions together.
PerfInterval joined(const PerfInterval& a, const PerfInterval& b) {
  PerfInterval all = a;
  all.moved += b.moved;
  if (b.lost) all.lost = a.lost.value_or(0) + *b.lost;
  return all;
}

}  // namespace

PerfTrial::PerfTrial(Session& session, const PerfBench& bench, const PerfTrialPlan& plan)
    : session_(session),
      bench_(bench),
      plan_(plan),
      threads_(bench.cpus),
      directions_(bench.test == PerfTest::both_ways ? 2 : 1) {
  result_.test = bench.test;
}

PerfResult PerfTrial::run() {
  add_threads();
  threads_.start();
  measure();
  if (!bench_.passive() && !lost_link_) drain();
  threads_.stop();
  if (all_sent()) result_.seconds = sending_seconds();
  finish();
  return std::move(result_);
}

PerfPlace PerfTrial::place(unsigned port, PerfRole role) const {
  const Port& at = *bench_.ports[port];
  const unsigned sends = bench_.test == PerfTest::both_ways ? port : 0;
  const unsigned receives = bench_.test == PerfTest::both_ways ? 1 - port : 0;
  const PerfTraffic& expected = *plan_.traffic[receives];
  return {.port = &at,
          .role = role,
          .sends = sends,
          .receives = receives,
          .traffic = plan_.traffic[sends],
          .pace = plan_.pace[sends],
          .sent_series = PerfSeries::of(plan_.number, sends),
          .receiver = {.mode = at.config().mode,
                       .mark_at = expected.mark_at(),
                       .series = bench_.passive() ? PerfSeries{} : PerfSeries::of(plan_.number, receives),
                       .neighbor = bench_.neighbors[port]}};
}

void PerfTrial::add_threads() {
  const bool one_port = bench_.ports.size() == 1;
  switch (bench_.test) {
    case PerfTest::receive:
      threads_.add(place(0, PerfRole::receive));
      return;
    case PerfTest::reflect:
      threads_.add(place(0, PerfRole::reflect));
      return;
    case PerfTest::one_way:
      threads_.add(place(0, PerfRole::send));
      threads_.add(place(1, PerfRole::receive));
      return;
    case PerfTest::both_ways:
      threads_.add(place(0, PerfRole::exchange));
      threads_.add(place(1, PerfRole::exchange));
      return;
    case PerfTest::round_trip:
      threads_.add(place(0, PerfRole::exchange));
      if (!one_port) threads_.add(place(1, PerfRole::partner));
      return;
  }
}

PerfSums PerfTrial::sums() const {
  PerfSums all;
  for (unsigned i = 0; i < directions_.size(); ++i) all += threads_.sums(i);
  return all;
}

bool PerfTrial::running() {
  session_.context().poll(10ms);
  for (const Port* port : bench_.ports) lost_link_ = lost_link_ || !port->up();
  return !lost_link_ && !session_.stopped();
}

double PerfTrial::elapsed() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

// Until the last packet was sent, whenever that was noticed.
double PerfTrial::sending_seconds() const {
  const auto last = Clock::time_point(std::chrono::nanoseconds(threads_.last_ns()));
  return std::max(std::chrono::duration<double>(last - began_).count(), 1e-9);
}

// Where there is a limit: the senders have reached it.
bool PerfTrial::all_sent() const {
  for (unsigned i = 0; i < directions_.size(); ++i)
    if (plan_.pace[i].limit == 0 || threads_.sums(i).sent < plan_.pace[i].limit) return false;
  return true;
}

// A receiver's time begins with the first packet, and ends with the last if the peer leaves.
void PerfTrial::measure() {
  while (bench_.passive() && threads_.sums(0).received == 0)
    if (!running()) return;
  began_ = Clock::now();
  auto next = began_ + plan_.every;
  std::uint64_t moved = 0;
  while (running() && Clock::now() - began_ < plan_.time && !all_sent()) {
    const PerfSums now = sums();
    if (std::exchange(moved, now.sent + now.received) != moved) result_.seconds = elapsed();
    // The last one is added when all has come: it ends with the measurement.
    if (plan_.every.count() == 0 || Clock::now() < next || next - began_ >= plan_.time) continue;
    add_interval(false);
    next += plan_.every;
  }
  if (!bench_.passive()) result_.seconds = elapsed();
}

// What has happened since the last time, to the total and, where intervals are wanted, as one.
void PerfTrial::add_interval(bool last) {
  const auto arrivals = threads_.ask();
  const double to = last ? result_.seconds : elapsed();
  const bool wanted = plan_.every.count() != 0 && to > from_;
  PerfInterval all;
  LatencyStats latency;
  for (unsigned i = 0; i < directions_.size(); ++i) {
    PerfInterval one = take_interval(i, arrivals[i], last);
    one.from = from_;
    one.to = to;
    all = i == 0 ? one : joined(all, one);
    latency.add(arrivals[i].latency);
    if (wanted) directions_[i].tally.intervals.push_back(one);
  }
  if (!wanted) return;
  all.latency = latency.summary();
  from_ = to;
  result_.all.intervals.push_back(all);
  if (plan_.on_interval) plan_.on_interval(all);
}

// Of one direction. The last one has what is known to be lost at the end, and was not missed before.
PerfInterval PerfTrial::take_interval(unsigned number, const PerfArrivals& arrivals, bool last) {
  Direction& direction = directions_[number];
  PerfTally& tally = direction.tally;
  tally.total = threads_.sums(number);
  tally.latency.add(arrivals.latency);
  direction.expected = arrivals.expected;
  if (last) tally.expected = expected(direction);
  PerfInterval interval{.moved = tally.total - std::exchange(direction.before, tally.total),
                        .latency = arrivals.latency.summary()};
  const auto known = last ? tally.lost() : std::nullopt;
  if (!known && arrivals.expected == 0) return interval;
  const std::int64_t now = known ? static_cast<std::int64_t>(*known) : missing(arrivals);
  interval.lost = now - std::exchange(direction.missing_before, now);
  return interval;
}

// After the last packet was sent: the peer takes it, and what is on its way arrives, for as long as anything of it
// does, but not without end. What else comes prolongs nothing.
void PerfTrial::drain() {
  threads_.stop_sending();
  const auto latest = Clock::now() + longest_drain;
  auto until = Clock::now() + (sums().arrived == 0 ? first_silence : silence);
  for (PerfSums last = sums(); Clock::now() < std::min(until, latest) && running();) {
    const PerfSums now = sums();
    if (now.arrived != last.arrived) until = Clock::now() + silence;
    if (threads_.drained() && now.arrived >= now.sent) return;                          // nothing is missing
    if (threads_.drained() && now.arrived == 0) until = std::min(until, Clock::now());  // the peer sends nothing back
    last = now;
  }
}

// Nothing, if it cannot be known: a peer that sends nothing back may have taken all.
std::optional<std::uint64_t> PerfTrial::expected(const Direction& direction) const {
  const PerfSums& total = direction.tally.total;
  if (bench_.test == PerfTest::round_trip && total.arrived == 0 && !bench_.must_return) return {};
  if (!bench_.passive()) return total.sent;
  if (bench_.test != PerfTest::receive || total.arrived == 0) return {};
  return direction.expected;
}

void PerfTrial::finish() {
  add_interval(true);
  PerfTally& all = result_.all;
  all.expected = 0;
  for (Direction& direction : directions_) {
    const PerfTally& tally = direction.tally;
    all.total += tally.total;
    all.latency.add(tally.latency);
    all.expected = all.expected && tally.expected ? std::optional(*all.expected + *tally.expected) : std::nullopt;
    if (directions_.size() > 1) result_.directions.push_back(std::move(direction.tally));
  }
  result_.queues = threads_.queues();
}

}  // namespace memif::tool
