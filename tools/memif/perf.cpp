// memif perf: throughput, loss and latency, between two ports or against a peer that sinks, sends or reflects.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <memif/memif.hpp>

#include "command.hpp"
#include "output.hpp"
#include "perf_packet.hpp"
#include "perf_worker.hpp"
#include "session.hpp"
#include "units.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

struct PerfOptions {
  PortOptions port;
  std::vector<std::string> ports;  // the words of --port
  bool receive = false;
  std::string time = "10s", interval = "1s", size = "64", rate, min_rate;
  std::size_t burst = 32;
  std::optional<double> max_loss;  // percent
  bool json = false;
};

struct Sums {
  std::uint64_t sent = 0, sent_bytes = 0, received = 0, received_bytes = 0, foreign = 0;
  std::uint64_t moved() const { return sent + received + foreign; }
};

class PerfCommand {
 public:
  explicit PerfCommand(const PerfOptions& options);
  int run();

 private:
  void start(Port& sender, Port* receiver);
  void measure(const std::vector<Port*>& ports);
  void drain(const std::vector<Port*>& ports);
  void interval(const Sums& now, double from, double to);
  void join();
  bool running(const std::vector<Port*>& ports);
  Sums sums() const;
  std::optional<double> loss(const Sums& total) const;
  int report();

  const PerfOptions& options_;
  Clock::duration time_, every_;
  double min_rate_;
  PerfLoad load_;
  Session session_;
  std::vector<std::unique_ptr<PerfWorker>> workers_;
  std::vector<std::thread> threads_;
  double seconds_ = 0;
  bool lost_link_ = false;
  Sums before_;
  Json intervals_ = Json::array();
};

PerfCommand::PerfCommand(const PerfOptions& options)
    : options_(options),
      time_(parse_duration(options.time)),
      every_(parse_duration(options.interval)),
      min_rate_(options.min_rate.empty() ? 0 : parse_packet_rate(options.min_rate)) {
  if (options.ports.size() > 2) throw UsageError("--port is for one or two ports");
  if (options.ports.size() == 2 && options.receive) throw UsageError("--receive is for one port");
  if (options.burst < 1 || options.burst > 256) throw UsageError("--burst is not within 1 and 256");
  load_.burst = options.burst;
  load_.rate = options.rate.empty() ? 0 : parse_packet_rate(options.rate);
  for (const std::size_t size : parse_size_mix(options.size))
    load_.packets.push_back(perf_packet(options.port.config.mode, size));
}

// One thread a queue and direction; with one port, a queue's thread sends and takes what comes back.
void PerfCommand::start(Port& sender, Port* receiver) {
  const Mode mode = sender.config().mode;
  const auto add = [this, mode](TxQueue* tx, RxQueue* rx, std::size_t queue) {
    workers_.push_back(std::make_unique<PerfWorker>(tx, rx, mode, static_cast<std::uint16_t>(queue), load_));
  };
  std::vector<TxQueue*> tx;
  for (std::size_t i = 0; i < sender.config().tx_queues && !options_.receive; ++i)
    if (sender.interface().tx(i).renew()) tx.push_back(&sender.interface().tx(i));
  load_.rate /= static_cast<double>(std::max<std::size_t>(tx.size(), 1));
  std::vector<RxQueue*> rx;
  Port& from = receiver != nullptr ? *receiver : sender;
  for (std::size_t i = 0; i < from.queues(); ++i)
    if (from.rx(i).renew()) rx.push_back(&from.rx(i));
  if (receiver != nullptr) {
    for (std::size_t i = 0; i < rx.size(); ++i) add(nullptr, rx[i], i);
    for (std::size_t i = 0; i < tx.size(); ++i) add(tx[i], nullptr, i);
  } else {
    for (std::size_t i = 0; i < std::max(tx.size(), rx.size()); ++i)
      add(i < tx.size() ? tx[i] : nullptr, i < rx.size() ? rx[i] : nullptr, i);
  }
  for (auto& worker : workers_) threads_.emplace_back([w = worker.get()] { w->run(); });
}

Sums PerfCommand::sums() const {
  Sums total;
  for (const auto& worker : workers_) {
    const PerfCounts& counts = worker->counts();
    total.sent += counts.sent.load(std::memory_order_relaxed);
    total.sent_bytes += counts.sent_bytes.load(std::memory_order_relaxed);
    total.received += counts.received.load(std::memory_order_relaxed);
    total.received_bytes += counts.received_bytes.load(std::memory_order_relaxed);
    total.foreign += counts.foreign.load(std::memory_order_relaxed);
  }
  return total;
}

bool PerfCommand::running(const std::vector<Port*>& ports) {
  session_.context().poll(10ms);
  if (session_.stopped()) return false;
  for (const Port* port : ports) lost_link_ = lost_link_ || !port->up();
  return !lost_link_;
}

void PerfCommand::measure(const std::vector<Port*>& ports) {
  // A receiver's time begins with the first packet.
  while (options_.receive && sums().moved() == 0)
    if (!running(ports)) return;
  const auto began = Clock::now();
  const auto since = [began] { return std::chrono::duration<double>(Clock::now() - began).count(); };
  auto next = began + every_;
  double from = 0;
  while (running(ports) && Clock::now() - began < time_) {
    seconds_ = since();
    if (every_.count() == 0 || Clock::now() < next) continue;
    interval(sums(), from, seconds_);
    from = seconds_;
    next += every_;
  }
  seconds_ = since();
}

void PerfCommand::interval(const Sums& now, double from, double to) {
  const double length = std::max(to - from, 1e-9);
  const auto rate = [length](std::uint64_t a, std::uint64_t b) { return static_cast<double>(b - a) / length; };
  const double sent = rate(before_.sent, now.sent);
  const double received = rate(before_.received + before_.foreign, now.received + now.foreign);
  before_ = now;
  if (options_.json)
    intervals_.push_back({{"from_s", from}, {"to_s", to}, {"sent_pps", sent}, {"received_pps", received}});
  else
    print_line(
        fmt::format("{:6.1f}-{:.1f} s  sent {:.3f} Mpps  received {:.3f} Mpps", from, to, sent / 1e6, received / 1e6));
}

// After the last packet sent: what is on its way arrives, for as long as anything does.
void PerfCommand::drain(const std::vector<Port*>& ports) {
  for (auto& worker : workers_) worker->stop_sending();
  auto quiet = Clock::now() + 300ms;
  for (Sums last = sums(); Clock::now() < quiet && running(ports);) {
    const Sums now = sums();
    if (now.moved() != last.moved()) quiet = Clock::now() + 300ms;
    if (!options_.receive && now.received == now.sent && now.moved() == last.moved()) break;
    last = now;
  }
}

void PerfCommand::join() {
  for (auto& worker : workers_) worker->stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

int PerfCommand::run() {
  std::vector<Port*> ports{&session_.add(options_.port)};
  if (options_.ports.size() == 2) ports.push_back(&session_.add(parse_port_word(options_.ports[1])));
  for (Port* port : ports)
    if (!session_.await_link(*port)) return exit_done;
  start(*ports[0], ports.size() == 2 ? ports[1] : nullptr);
  try {
    measure(ports);
    if (!options_.receive && !lost_link_) drain(ports);
  } catch (...) {
    join();
    throw;
  }
  join();
  if (lost_link_)
    for (const Port* port : ports)
      if (!port->up()) notice(fmt::format("the link of {} is down: {}", port_name(port->config()), port->why_down()));
  const int code = report();
  return lost_link_ && !options_.receive ? exit_failed : code;
}

// Nothing, if it cannot be known: a peer that sends nothing back may have taken all.
std::optional<double> PerfCommand::loss(const Sums& total) const {
  std::uint64_t expected = total.sent;
  if (options_.receive) {
    expected = 0;
    for (const auto& worker : workers_) expected += worker->expected();
  }
  if (expected == 0 || (total.received == 0 && options_.ports.size() != 2 && !options_.max_loss)) return {};
  const std::uint64_t lost = expected > total.received ? expected - total.received : 0;
  return 100 * static_cast<double>(lost) / static_cast<double>(expected);
}

int PerfCommand::report() {
  const Sums total = sums();
  const std::optional<double> lost = loss(total);
  const double seconds = std::max(seconds_, 1e-9);
  const double sent = static_cast<double>(total.sent) / seconds;
  const double received = static_cast<double>(total.received + total.foreign) / seconds;
  const double bits = static_cast<double>(options_.receive ? total.received_bytes : total.sent_bytes) * 8 / seconds;
  Json latency = Json::array();
  for (const auto& worker : workers_) {
    const LatencyStats& stats = worker->latency();
    if (stats.count() == 0) continue;
    const auto us = [&stats](double percent) { return stats.percentile(percent) / 1e3; };
    latency.push_back({{"samples", stats.count()},
                       {"min_us", stats.min() / 1e3},
                       {"p50_us", us(50)},
                       {"p90_us", us(90)},
                       {"p99_us", us(99)},
                       {"p99_9_us", us(99.9)},
                       {"max_us", stats.max() / 1e3}});
  }
  if (options_.json) {
    print_json({{"schema", "memif-perf/1"},
                {"seconds", seconds_},
                {"sent", total.sent},
                {"received", total.received},
                {"foreign", total.foreign},
                {"sent_pps", sent},
                {"received_pps", received},
                {"bits_per_second", bits},
                {"loss_percent", lost ? Json(*lost) : Json()},
                {"latency", latency},
                {"intervals", intervals_}});
  } else {
    print_line(
        fmt::format("{} sent, {} received, {} foreign in {:.2f} s: {:.3f} Mpps sent, {:.3f} received, {:.3f} "
                    "Gbps; loss {}",
                    total.sent, total.received, total.foreign, seconds_, sent / 1e6, received / 1e6, bits / 1e9,
                    lost ? fmt::format("{:.4f} %", *lost) : "unknown"));
    for (const Json& queue : latency)
      print_line(fmt::format("latency p50 {:.2f}  p90 {:.2f}  p99 {:.2f}  p99.9 {:.2f}  max {:.2f} us",
                             queue["p50_us"].get<double>(), queue["p90_us"].get<double>(),
                             queue["p99_us"].get<double>(), queue["p99_9_us"].get<double>(),
                             queue["max_us"].get<double>()));
  }
  const bool arrives = options_.receive || options_.ports.size() == 2;
  if (min_rate_ > 0 && (arrives ? received : sent) < min_rate_) {
    complain(fmt::format("{:.0f} packets a second are fewer than --min-rate", arrives ? received : sent));
    return exit_threshold;
  }
  if (options_.max_loss && lost.value_or(100) > *options_.max_loss) {
    complain(fmt::format("loss of {:.4f} % is more than --max-loss", lost.value_or(100)));
    return exit_threshold;
  }
  return exit_done;
}

}  // namespace

void add_perf(CLI::App& app, Action& action) {
  auto options = std::make_shared<PerfOptions>();
  CLI::App* command = app.add_subcommand("perf", "measure throughput, loss and latency");
  add_port_options(*command, options->port);
  command->get_option("--port")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeFirst)
      ->each([options](const std::string& word) { options->ports.push_back(word); });
  command->add_flag("--receive", options->receive, "only receive");
  command->add_option("--time", options->time, "how long to send (default: 10s)")->type_name("DURATION");
  command->add_option("--interval", options->interval, "report as often; 0 for never")->type_name("DURATION");
  command->add_option("--size", options->size, "packet size, imix, or a mix such as 64:7,576:4,1500:1");
  command->add_option("--rate", options->rate, "packets a second, such as 1Mpps (default: as many as fit)");
  command->add_option("--burst", options->burst, "packets sent at once, 1 to 256 (default: 32)");
  command->add_option("--min-rate", options->min_rate, "exit with 4 below so many packets a second");
  command->add_option("--max-loss", options->max_loss, "exit with 4 above so many percent lost");
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(
      "Two --port words: the first sends, the second receives, and latency is one way. One port: sends, counts what "
      "comes back, and latency is the round trip; memif respond --reflect is such a peer.\n"
      "Example: memif perf --port memif:@a,role=server --port memif:@a,role=client --time 5s --size 64 --json");
  command->callback([&action, options] { action = [options] { return PerfCommand(*options).run(); }; });
}

}  // namespace memif::tool
