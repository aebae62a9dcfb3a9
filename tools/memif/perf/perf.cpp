// memif perf: throughput, loss and latency, between two ports or against a peer that sinks, sends or reflects.
#include <algorithm>
#include <array>
#include <ctime>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include <memif/memif.hpp>

#include "common/app.hpp"
#include "common/command.hpp"
#include "common/output.hpp"
#include "common/session.hpp"
#include "common/units.hpp"
#include "perf/document.hpp"
#include "perf/gateway.hpp"
#include "perf/machine.hpp"
#include "perf/options.hpp"
#include "perf/trial.hpp"

namespace memif::tool {
namespace {

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  std::array<char, 32> text{};
  ::gmtime_r(&now, &parts);
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

class PerfCommand {
 public:
  explicit PerfCommand(const PerfOptions& options);
  int run();

 private:
  void make_traffic(const std::string& size);
  bool connect();
  void make_neighbors();
  bool find_gateways();
  bool ready();
  PerfTrialPlan plan(Clock::duration time);
  int measure();
  int search();
  bool warm_up();
  int finish(const PerfResult& result, bool lost_link);
  int finish(const ThroughputReport& report, bool whole);
  void tell_links() const;
  void write(nlohmann::ordered_json report);

  const PerfOptions& options_;
  const PerfLimits limits_;
  std::array<FlowPlan, 2> flows_;
  std::array<std::optional<IpAddress>, 2> gateways_;
  std::vector<PerfTraffic> traffic_;  // by direction
  Session session_;
  PerfBench bench_;
  std::vector<std::unique_ptr<PerfNeighbor>> neighbors_;  // by port
  std::uint64_t trials_ = 0;
  ReportFiles files_;
  std::string started_ = utc_now();
  nlohmann::ordered_json described_ports_ = nlohmann::ordered_json::array();  // while they were up
};

const PerfOptions& checked(const PerfOptions& options) {
  check(options);
  return options;
}

PerfCommand::PerfCommand(const PerfOptions& options)
    : options_(checked(options)),
      limits_(parse_limits(options)),
      flows_(parse_flows(options)),
      gateways_(parse_gateways(options)),
      files_(options.reports) {
  for (const std::string& size : sizes_of(options, flows_.front())) make_traffic(size);  // all: for their errors
  make_traffic(sizes_of(options, flows_.front()).front());
  parse_rates(options, 1);
  parse_search(options);
  check_cpus(options.cpus);
  bench_.test = test_of(options);
  bench_.cpus = options.cpus;
  bench_.must_return = limits_.max_loss_percent || options.searches();
}

void PerfCommand::make_traffic(const std::string& size) {
  traffic_.clear();
  for (const FlowPlan& flows : flows_) traffic_.emplace_back(flows, parse_size_mix(size));
}

// False if a signal ended the wait.
bool PerfCommand::connect() {
  bench_.ports.push_back(&session_.add(options_.port));
  if (!options_.one_port()) bench_.ports.push_back(&session_.add(second_port(options_)));
  for (Port* port : bench_.ports)
    if (!session_.await_link(*port)) return false;
  for (const Port* port : bench_.ports) described_ports_.push_back(to_json(*port));
  return true;
}

// The first port has the sources, the second the destinations; a receiver is the second of another perf.
void PerfCommand::make_neighbors() {
  for (std::size_t i = 0; i < bench_.ports.size(); ++i) {
    const FlowPlan& own = flows_[bench_.test == PerfTest::receive ? 1 : i];
    neighbors_.push_back(std::make_unique<PerfNeighbor>(own.mode, own.source, own.vlans));
    bench_.neighbors[i] = neighbors_.back().get();
  }
}

// False if it was interrupted.
bool PerfCommand::find_gateways() {
  for (std::size_t i = 0; i < bench_.ports.size(); ++i) {
    if (!gateways_[i]) continue;
    const auto mac = find_gateway(session_, *bench_.ports[i], *neighbors_[i], *gateways_[i]);
    if (!mac) return false;
    flows_[i].destination.macs = mac_range(*mac);
  }
  make_traffic(sizes_of(options_, flows_.front()).front());
  return true;
}

bool PerfCommand::ready() {
  if (!connect()) return false;
  make_neighbors();
  return find_gateways();
}

PerfTrialPlan PerfCommand::plan(Clock::duration time) {
  PerfTrialPlan plan{.time = time, .every = parse_duration(options_.interval), .number = trials_++};
  for (std::size_t i = 0; i < traffic_.size(); ++i) {
    plan.traffic[i] = &traffic_[i];
    plan.pace[i] = {.burst = options_.burst, .rate = parse_rates(options_, traffic_[i].mean_size())[i]};
  }
  return plan;
}

// False if it ended before its time.
bool PerfCommand::warm_up() {
  const auto time = parse_duration(options_.warm_up);
  if (time.count() == 0) return true;
  PerfTrialPlan plan = this->plan(time);
  plan.every = {};
  PerfTrial trial(session_, bench_, plan);
  trial.run();
  return !trial.lost_link() && !session_.stopped();
}

int PerfCommand::run() {
  const bool prepared = ready() && warm_up();
  if (options_.searches()) return prepared ? search() : finish(ThroughputReport{.test = bench_.test}, false);
  return prepared ? measure() : finish(PerfResult{.test = bench_.test}, !session_.stopped());
}

int PerfCommand::search() {
  ThroughputPlan plan = parse_search(options_);
  plan.flows = flows_;
  Throughput::Listener listener;
  if (!options_.json)
    listener = {[](const ThroughputTrial& trial) { print_text(trial); },
                [this](const ThroughputResult& result) { print_text(result, bench_.test); },
                [](const BurstResult& result) { print_text(result); }};
  Throughput throughput(session_, bench_, plan, listener, trials_);
  const bool whole = throughput.run();
  if (whole) session_.linger();
  return finish(throughput.report(), whole);
}

int PerfCommand::finish(const ThroughputReport& report, bool whole) {
  if (options_.json) print_json(to_json(report));
  write(to_json(report));
  tell_links();
  if (!whole) return session_.stopped() ? exit_done : exit_failed;
  const auto failures = missed(limits_, report);
  for (const std::string& failure : failures) complain(failure);
  if (!failures.empty()) return exit_threshold;
  const auto found = [](const ThroughputResult& result) { return result.best.has_value(); };
  return std::all_of(report.searches.begin(), report.searches.end(), found) ? exit_done : exit_failed;
}

int PerfCommand::measure() {
  PerfTrialPlan plan = this->plan(parse_time(options_));
  if (!options_.json)
    plan.on_interval = [](const PerfInterval& interval) {
      print_line(describe(interval));
      flush_output();  // somebody may be looking through a pipe
    };
  PerfTrial trial(session_, bench_, plan);
  const PerfResult result = trial.run();
  if (!trial.lost_link()) session_.linger();
  return finish(result, trial.lost_link());
}

// To the files that were asked for, with all that a reader elsewhere wants to know.
void PerfCommand::write(nlohmann::ordered_json report) {
  if (options_.reports.empty()) return;
  report["started"] = started_;
  report["version"] = version_text();
  report["command"] = describe_command();
  report["machine"] = describe_machine();
  report["ports"] = described_ports_;
  files_.write(report);
}

void PerfCommand::tell_links() const {
  for (const Port* port : bench_.ports)
    if (!port->up()) notice(fmt::format("the link on {} is down: {}", port_name(port->config()), port->why_down()));
}

int PerfCommand::finish(const PerfResult& result, bool lost_link) {
  options_.json ? print_json(to_json(result)) : print_text(result);
  write(to_json(result));
  tell_links();
  if (result.queues.empty()) return lost_link ? exit_failed : exit_done;  // else a signal ended the preparations
  const auto failures = missed(limits_, result);
  for (const std::string& failure : failures) complain(failure);
  if (lost_link && !(bench_.passive() && result.all.total.received != 0)) return exit_failed;
  return failures.empty() ? exit_done : exit_threshold;
}

}  // namespace

void add_perf(Command app, Action& action) {
  auto options = std::make_shared<PerfOptions>();
  Command command = app.add_subcommand("perf", "measure throughput, loss and latency");
  add_perf_options(command, *options);
  command.footer(
      "Two ports: the first sends, the second receives, and latency is one way. One port: sends and counts what comes\n"
      "back, and latency is the round trip; a peer that sends nothing back will do as well.\n"
      "Example: memif perf --port memif:@a,role=server --port memif:@a,role=client --time 5s --size 64 --json");
  command.callback([&action, options] { action = [options] { return PerfCommand(*options).run(); }; });
}

}  // namespace memif::tool
