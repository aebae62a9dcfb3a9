// memif perf: throughput, loss and latency, between two ports or against a peer that sinks, sends or reflects.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <memif/memif.hpp>

#include "command.hpp"
#include "output.hpp"
#include "perf_packet.hpp"
#include "perf_report.hpp"
#include "perf_worker.hpp"
#include "session.hpp"
#include "units.hpp"
#include "whole_number.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

struct PerfOptions {
  PortOptions port;
  std::vector<std::string> words;  // of --port
  bool receive = false, reflect = false, json = false;
  std::string time = "10s", interval = "1s", size = "64", rate, min_rate, max_loss;
  std::uint64_t burst = 32;
  std::vector<unsigned> cpus;
};

PerfLimits parse_limits(const PerfOptions& options) {
  PerfLimits limits{.min_rate_text = options.min_rate, .max_loss_text = options.max_loss};
  if (is_bit_rate(options.min_rate))
    limits.min_bps = parse_bit_rate(options.min_rate);
  else if (!options.min_rate.empty())
    limits.min_pps = parse_packet_rate(options.min_rate);
  limits.max_loss_percent = parse_percent("--max-loss", options.max_loss);
  return limits;
}

PerfSums sums_of(const PerfWorker& worker) {
  const PerfCounts& counts = worker.counts();
  return {counts.sent.get(),           counts.sent_bytes.get(), counts.received.get(),
          counts.received_bytes.get(), counts.foreign.get(),    counts.out_of_order.get()};
}

// a + sign * b, field by field.
PerfSums combine(PerfSums a, const PerfSums& b, std::uint64_t sign) {
  a.sent += sign * b.sent;
  a.sent_bytes += sign * b.sent_bytes;
  a.received += sign * b.received;
  a.received_bytes += sign * b.received_bytes;
  a.foreign += sign * b.foreign;
  a.out_of_order += sign * b.out_of_order;
  return a;
}

class PerfCommand {
 public:
  explicit PerfCommand(const PerfOptions& options);
  int run();

 private:
  // What the command as a whole does.
  bool passive() const { return one_port() && (options_.receive || options_.reflect); }
  bool one_port() const { return options_.words.size() < 2; }
  const char* test() const;

  void start();
  void add_worker(PerfWorker::Job job);
  bool running();
  void measure();
  void add_interval(double from, double to);
  void drain();
  void join();
  PerfSums sums() const;
  bool counted(const PerfWorker& worker) const;
  std::optional<std::uint64_t> expected(const PerfSums& total) const;
  int finish();

  const PerfOptions& options_;
  const Clock::duration time_, every_;
  const PerfLimits limits_;
  PerfLoad load_;
  Session session_;
  std::vector<Port*> ports_;
  std::vector<std::unique_ptr<PerfWorker>> workers_;
  std::vector<std::thread> threads_;
  PerfResult result_;
  PerfSums before_;
  bool lost_link_ = false;
};

PerfCommand::PerfCommand(const PerfOptions& options)
    : options_(options),
      time_(parse_duration(options.time)),
      every_(parse_duration(options.interval)),
      limits_(parse_limits(options)) {
  if (options.words.size() > 2) throw UsageError("--port: at most two");
  if (options.receive && !one_port()) throw UsageError("--receive: with two ports the second receives anyway");
  if (options.receive && options.reflect) throw UsageError("--receive and --reflect exclude each other");
  if (options.port.reconnect) throw UsageError("--reconnect: perf measures one link");
  load_.burst = options.burst;
  const auto sizes = parse_size_mix(options.size);
  for (const std::size_t size : sizes) load_.packets.push_back(perf_packet(options.port.config.mode, size));
  const double mean = static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0})) /
                      static_cast<double>(sizes.size());
  if (is_bit_rate(options.rate))
    load_.rate = parse_bit_rate(options.rate) / 8 / mean;
  else if (!options.rate.empty())
    load_.rate = parse_packet_rate(options.rate);
}

const char* PerfCommand::test() const {
  if (passive()) return options_.receive ? "receive" : "reflect";
  return one_port() || options_.reflect ? "round_trip" : "one_way";
}

void PerfCommand::add_worker(PerfWorker::Job job) {
  if (!options_.cpus.empty()) job.cpu = options_.cpus[workers_.size() % options_.cpus.size()];
  workers_.push_back(std::make_unique<PerfWorker>(job, options_.port.config.mode, load_));
}

// One thread a queue and port. A port that sends and receives does both on one thread, as its peer's answers come on
// the queue of the same number.
void PerfCommand::start() {
  const auto queues = [](const Port& port, auto each) {
    for (std::uint16_t i = 0; i < std::max(port.config().tx_queues, port.config().rx_queues); ++i) {
      TxQueue* const tx =
          i < port.config().tx_queues && port.interface().tx(i).renew() ? &port.interface().tx(i) : nullptr;
      RxQueue* const rx =
          i < port.config().rx_queues && port.interface().rx(i).renew() ? &port.interface().rx(i) : nullptr;
      if (tx != nullptr || rx != nullptr) each(tx, rx, i);
    }
  };
  const auto reflect = [this](TxQueue* tx, RxQueue* rx, std::uint16_t i) {
    if (tx != nullptr && rx != nullptr) add_worker({.tx = tx, .rx = rx, .reflect = true, .queue = i});
  };
  const auto receive = [this](TxQueue*, RxQueue* rx, std::uint16_t i) {
    if (rx != nullptr) add_worker({.rx = rx, .queue = i});
  };
  const auto send = [this](TxQueue* tx, RxQueue*, std::uint16_t i) {
    if (tx != nullptr) add_worker({.tx = tx, .queue = i});
  };
  const auto exchange = [this](TxQueue* tx, RxQueue* rx, std::uint16_t i) {
    add_worker({.tx = tx, .rx = rx, .queue = i});
  };
  if (passive()) {
    options_.receive ? queues(*ports_[0], receive) : queues(*ports_[0], reflect);
  } else if (one_port()) {
    queues(*ports_[0], exchange);
  } else if (options_.reflect) {
    queues(*ports_[0], exchange);
    queues(*ports_[1], reflect);
  } else {
    queues(*ports_[0], send);
    queues(*ports_[1], receive);
  }
  const auto senders = std::count_if(workers_.begin(), workers_.end(), [](const auto& w) { return w->sends(); });
  load_.rate /= static_cast<double>(std::max<std::ptrdiff_t>(senders, 1));
  for (auto& worker : workers_) threads_.emplace_back([w = worker.get()] { w->run(); });
}

// The reflecting port of a test between two ports is a part of what is measured, not one that measures.
bool PerfCommand::counted(const PerfWorker& worker) const { return one_port() || !options_.reflect || worker.sends(); }

PerfSums PerfCommand::sums() const {
  PerfSums total;
  for (const auto& worker : workers_)
    if (counted(*worker)) total = combine(total, sums_of(*worker), 1);
  return total;
}

bool PerfCommand::running() {
  session_.context().poll(10ms);
  for (const Port* port : ports_) lost_link_ = lost_link_ || !port->up();
  return !lost_link_ && !session_.stopped();
}

// A receiver's time begins with the first packet, and ends with the last if the peer leaves.
void PerfCommand::measure() {
  while (passive() && sums().received == 0)
    if (!running()) return;
  const auto began = Clock::now();
  const auto since = [began] { return std::chrono::duration<double>(Clock::now() - began).count(); };
  auto next = began + every_;
  double from = 0;
  std::uint64_t moved = 0;
  while (running() && Clock::now() - began < time_) {
    const PerfSums now = sums();
    if (std::exchange(moved, now.sent + now.received) != moved) result_.seconds = since();
    if (every_.count() == 0 || Clock::now() < next) continue;
    const double to = since();
    add_interval(std::exchange(from, to), to);
    next += every_;
  }
  if (!passive()) result_.seconds = since();
}

void PerfCommand::add_interval(double from, double to) {
  const PerfSums now = sums();
  result_.intervals.push_back({from, to, combine(now, std::exchange(before_, now), ~std::uint64_t{0})});
  if (options_.json) return;
  print_line(describe(result_.intervals.back()));
  flush_output();  // somebody may be looking through a pipe
}

// After the last packet was sent: the peer takes it, and what is on its way arrives, for as long as anything does.
void PerfCommand::drain() {
  for (auto& worker : workers_) worker->stop_sending();
  const auto done = [this] {
    return std::all_of(workers_.begin(), workers_.end(), [](const auto& w) { return !w->sends() || w->drained(); });
  };
  auto until = Clock::now() + 1s;
  for (PerfSums last = sums(); Clock::now() < until && running();) {
    const PerfSums now = sums();
    if (now.received != last.received) until = Clock::now() + 300ms;
    if (done() && now.received - now.foreign >= now.sent) return;            // nothing is missing
    if (done() && now.received == 0) until = std::min(until, Clock::now());  // the peer sends nothing back
    last = now;
  }
}

void PerfCommand::join() {
  for (auto& worker : workers_) worker->stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

int PerfCommand::run() {
  ports_.push_back(&session_.add(options_.port));
  if (!one_port()) {  // the second port is as the first, at the other end, but for what its word says
    PortOptions second = options_.port;
    second.config.role = second.config.role == Role::client ? Role::server : Role::client;
    apply_port_word(options_.words[1], second);
    ports_.push_back(&session_.add(second));
  }
  for (Port* port : ports_)
    if (!session_.await_link(*port)) return exit_done;
  start();
  try {
    measure();
    if (!passive() && !lost_link_) drain();
  } catch (...) {
    join();
    throw;
  }
  join();
  if (!lost_link_) session_.linger();
  return finish();
}

// Nothing, if it cannot be known: a peer that sends nothing back may have taken all.
std::optional<std::uint64_t> PerfCommand::expected(const PerfSums& total) const {
  if (!passive()) {
    const bool comes_back = !one_port() || total.received > total.foreign || limits_.max_loss_percent;
    return comes_back ? std::optional(total.sent) : std::nullopt;
  }
  if (!options_.receive || total.received == total.foreign) return {};
  std::map<std::uint16_t, std::uint64_t> highest;
  for (const auto& worker : workers_)
    for (const auto& [queue, count] : worker->expected()) highest[queue] = std::max(highest[queue], count);
  return std::accumulate(highest.begin(), highest.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& queue) { return sum + queue.second; });
}

int PerfCommand::finish() {
  result_.test = test();
  result_.total = sums();
  result_.expected = expected(result_.total);
  for (const auto& worker : workers_) {
    if (counted(*worker)) result_.latency.add(worker->latency());
    result_.queues.push_back({worker->queue(), worker->does(), sums_of(*worker)});
  }
  options_.json ? print_json(result_) : print_text(result_);
  for (const Port* port : ports_)
    if (!port->up()) notice(fmt::format("the link on {} is down: {}", port_name(port->config()), port->why_down()));
  const auto failures = missed(limits_, result_);
  for (const std::string& failure : failures) complain(failure);
  if (lost_link_ && !(passive() && result_.total.received != 0)) return exit_failed;
  return failures.empty() ? exit_done : exit_threshold;
}

}  // namespace

void add_perf(CLI::App& app, Action& action) {
  auto options = std::make_shared<PerfOptions>();
  CLI::App* command = app.add_subcommand("perf", "measure throughput, loss and latency");
  add_port_options(*command, options->port);
  command->get_option("--port")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeFirst)
      ->each([options](const std::string& word) { options->words.push_back(word); });
  command->add_flag("--receive", options->receive, "only receive");
  command->add_flag("--reflect", options->reflect, "send back what comes; with two ports, the second does");
  command->add_option("-t,--time", options->time, "how long to send; a receiver's time begins with the first packet")
      ->type_name("DURATION")
      ->capture_default_str();
  command->add_option("-i,--interval", options->interval, "report so often; 0: only at the end")
      ->type_name("DURATION")
      ->capture_default_str();
  command->add_option("--size", options->size, "bytes a packet, imix, or a mix such as 64:7,570:4,1518:1")
      ->type_name("SIZES")
      ->capture_default_str();
  command->add_option("--rate", options->rate, "such as 10Mpps or 5Gbit/s (default: as fast as the peer takes them)")
      ->type_name("RATE");
  command->add_option("--burst", options->burst, "packets sent at once, 1 to 256")
      ->transform(whole_number(1, 256))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--cpus", options->cpus, "run each thread on one of these, in turn: 0,1")
      ->transform(whole_number(0, std::numeric_limits<unsigned>::max()))
      ->type_name("N,...")
      ->delimiter(',');
  command->add_option("--min-rate", options->min_rate, "exit with 4 below it, such as 1Mpps or 5Gbit/s")
      ->type_name("RATE");
  command->add_option("--max-loss", options->max_loss, "exit with 4 if more is lost, in percent")->type_name("PERCENT");
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(
      "Two ports: the first sends, the second receives, and latency is one way. One port: sends and counts what comes\n"
      "back, and latency is the round trip; a peer that sends nothing back will do as well.\n"
      "Example: memif perf --port memif:@a,role=server --port memif:@a,role=client --time 5s --size 64 --json");
  command->callback([&action, options] { action = [options] { return PerfCommand(*options).run(); }; });
}

}  // namespace memif::tool
