// memif perf: throughput, loss and latency, between two ports or against a peer that sinks, sends or reflects.
#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include <memif/memif.hpp>

#include "common/command.hpp"
#include "common/options.hpp"
#include "common/output.hpp"
#include "common/session.hpp"
#include "common/units.hpp"
#include "perf/packet.hpp"
#include "perf/report.hpp"
#include "perf/threads.hpp"

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

PerfLoad parse_load(const PerfOptions& options) {
  PerfLoad load;
  load.burst = options.burst;
  const auto sizes = parse_size_mix(options.size);
  for (const std::size_t size : sizes) load.packets.push_back(perf_packet(options.port.config.mode, size));
  const double mean = static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0})) /
                      static_cast<double>(sizes.size());
  if (is_bit_rate(options.rate))
    load.rate = parse_bit_rate(options.rate) / 8 / mean;
  else if (!options.rate.empty())
    load.rate = parse_packet_rate(options.rate);
  if (!options.rate.empty() && load.rate <= 0) throw UsageError("--rate: the rate must be more than 0");
  return load;
}

const PerfOptions& checked(const PerfOptions& options) {
  if (options.words.size() > 2) throw UsageError("--port: at most two");
  if (options.receive && options.words.size() == 2)
    throw UsageError("--receive: with two ports the second receives anyway");
  if (options.receive && options.reflect) throw UsageError("--receive and --reflect exclude each other");
  if (options.port.reconnect) throw UsageError("--reconnect: perf measures one link");
  if (parse_duration(options.time) == 0ns) throw UsageError("--time: it must be more than 0");
  return options;
}

class PerfCommand {
 public:
  explicit PerfCommand(const PerfOptions& options)
      : options_(checked(options)),
        time_(parse_duration(options.time)),
        every_(parse_duration(options.interval)),
        limits_(parse_limits(options)),
        threads_(options.port.config.mode, parse_load(options), options.cpus) {}
  int run();

 private:
  // What the command as a whole does.
  bool passive() const { return one_port() && (options_.receive || options_.reflect); }
  bool one_port() const { return options_.words.size() < 2; }
  const char* test() const;

  void start();
  bool running();
  void measure();
  void add_interval(double to);
  void drain();
  std::optional<std::uint64_t> expected(const PerfSums& total) const;
  int finish();

  const PerfOptions& options_;
  const Clock::duration time_, every_;
  const PerfLimits limits_;
  Session session_;
  std::vector<Port*> ports_;
  PerfThreads threads_;
  PerfResult result_;
  PerfSums before_;  // the present interval
  double from_ = 0;  // seconds
  bool lost_link_ = false;
};

const char* PerfCommand::test() const {
  if (passive()) return options_.receive ? "receive" : "reflect";
  return one_port() || options_.reflect ? "round_trip" : "one_way";
}

void PerfCommand::start() {
  if (passive()) {
    threads_.add(*ports_[0], options_.receive ? PerfRole::receive : PerfRole::reflect);
  } else if (one_port()) {
    threads_.add(*ports_[0], PerfRole::exchange);
  } else {
    threads_.add(*ports_[0], options_.reflect ? PerfRole::exchange : PerfRole::send);
    threads_.add(*ports_[1], options_.reflect ? PerfRole::partner : PerfRole::receive);
  }
  threads_.start();
}

bool PerfCommand::running() {
  session_.context().poll(10ms);
  for (const Port* port : ports_) lost_link_ = lost_link_ || !port->up();
  return !lost_link_ && !session_.stopped();
}

// A receiver's time begins with the first packet, and ends with the last if the peer leaves.
void PerfCommand::measure() {
  while (passive() && threads_.sums().received == 0)
    if (!running()) return;
  const auto began = Clock::now();
  const auto since = [began] { return std::chrono::duration<double>(Clock::now() - began).count(); };
  auto next = began + every_;
  std::uint64_t moved = 0;
  while (running() && Clock::now() - began < time_) {
    const PerfSums now = threads_.sums();
    if (std::exchange(moved, now.sent + now.received) != moved) result_.seconds = since();
    // The last one is added when all has come: it ends with the measurement.
    if (every_.count() == 0 || Clock::now() < next || next - began >= time_) continue;
    add_interval(since());
    next += every_;
  }
  if (!passive()) result_.seconds = since();
}

void PerfCommand::add_interval(double to) {
  const PerfSums now = threads_.sums();
  result_.intervals.push_back({std::exchange(from_, to), to, now - std::exchange(before_, now)});
  if (options_.json) return;
  print_line(describe(result_.intervals.back()));
  flush_output();  // somebody may be looking through a pipe
}

// After the last packet was sent: the peer takes it, and what is on its way arrives, for as long as anything of it
// does, but not without end. What else comes prolongs nothing.
void PerfCommand::drain() {
  threads_.stop_sending();
  const auto latest = Clock::now() + 5s;
  auto until = Clock::now() + 1s;
  for (PerfSums last = threads_.sums(); Clock::now() < std::min(until, latest) && running();) {
    const PerfSums now = threads_.sums();
    if (now.arrived != last.arrived) until = Clock::now() + 300ms;
    if (threads_.drained() && now.arrived >= now.sent) return;                          // nothing is missing
    if (threads_.drained() && now.arrived == 0) until = std::min(until, Clock::now());  // the peer sends nothing back
    last = now;
  }
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
    if (!session_.await_link(*port)) return finish();
  start();
  measure();
  if (!passive() && !lost_link_) drain();
  threads_.stop();
  if (!lost_link_) session_.linger();
  return finish();
}

// Nothing, if it cannot be known: a peer that sends nothing back may have taken all.
std::optional<std::uint64_t> PerfCommand::expected(const PerfSums& total) const {
  if (!passive()) {
    const bool comes_back = !one_port() || total.arrived != 0 || limits_.max_loss_percent;
    return comes_back ? std::optional(total.sent) : std::nullopt;
  }
  if (!options_.receive || total.arrived == 0) return {};
  return threads_.expected();
}

int PerfCommand::finish() {
  if (every_.count() != 0 && result_.seconds > from_) add_interval(result_.seconds);
  result_.test = test();
  result_.total = threads_.sums();
  result_.expected = expected(result_.total);
  threads_.report(result_);
  options_.json ? print_json(result_) : print_text(result_);
  for (const Port* port : ports_)
    if (!port->up()) notice(fmt::format("the link on {} is down: {}", port_name(port->config()), port->why_down()));
  if (result_.queues.empty()) return exit_done;  // a signal ended the wait for the peer
  const auto failures = missed(limits_, result_);
  for (const std::string& failure : failures) complain(failure);
  if (lost_link_ && !(passive() && result_.total.received != 0)) return exit_failed;
  return failures.empty() ? exit_done : exit_threshold;
}

}  // namespace

void add_perf(Command app, Action& action) {
  auto options = std::make_shared<PerfOptions>();
  Command command = app.add_subcommand("perf", "measure throughput, loss and latency");
  add_port_options(command, options->port);
  command.get_option("--port").first_counts().each(
      [options](const std::string& word) { options->words.push_back(word); });
  command.add_flag("--receive", options->receive, "only receive");
  command.add_flag("--reflect", options->reflect, "send back what comes; with two ports, the second does");
  command.add_option("-t,--time", options->time, "how long to send; a receiver's time begins with the first packet")
      .type_name("DURATION")
      .capture_default_str();
  command.add_option("-i,--interval", options->interval, "report so often; 0: only at the end")
      .type_name("DURATION")
      .capture_default_str();
  command.add_option("--size", options->size, "bytes a packet, imix, or a mix such as 64:7,570:4,1518:1")
      .type_name("SIZES")
      .capture_default_str();
  command.add_option("--rate", options->rate, "such as 10Mpps or 5Gbit/s (default: as fast as the peer takes them)")
      .type_name("RATE");
  command.add_option("--burst", options->burst, "packets sent at once, 1 to 256")
      .whole_number(1, 256)
      .capture_default_str()
      .type_name("N");
  command.add_option("--cpus", options->cpus, "run each thread on one of these, in turn: 0,1")
      .whole_number(0, std::numeric_limits<unsigned>::max())
      .type_name("N,...")
      .delimiter(',');
  command.add_option("--min-rate", options->min_rate, "exit with 4 below it, such as 1Mpps or 5Gbit/s")
      .type_name("RATE");
  command.add_option("--max-loss", options->max_loss, "exit with 4 if more is lost, in percent").type_name("PERCENT");
  command.add_flag("--json", options->json, "print one JSON object");
  command.footer(
      "Two ports: the first sends, the second receives, and latency is one way. One port: sends and counts what comes\n"
      "back, and latency is the round trip; a peer that sends nothing back will do as well.\n"
      "Example: memif perf --port memif:@a,role=server --port memif:@a,role=client --time 5s --size 64 --json");
  command.callback([&action, options] { action = [options] { return PerfCommand(*options).run(); }; });
}

}  // namespace memif::tool
