// memif ping: echo requests across a memif.
#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include <memif/memif.hpp>

#include "common/command.hpp"
#include "common/options.hpp"
#include "common/output.hpp"
#include "common/session.hpp"
#include "common/units.hpp"
#include "ping/pinger.hpp"

namespace memif::tool {
namespace {

constexpr std::size_t max_data_v4 = 65535 - 20 - 8, max_data_v6 = 65535 - 8;  // beside the headers that count

struct PingOptions {
  PortOptions port;
  std::string source, target, mac;
  std::uint64_t count = 0;
  std::string interval = "1s", timeout = "1s", size = "56", max_loss;
  bool quiet = false, json = false;
};

PingPlan make_plan(const PingOptions& options) {
  PingPlan plan;
  plan.source = parse_prefix(options.source);
  plan.target = parse_address(options.target);
  const bool v6 = plan.source.address.v6();
  if (v6 != plan.target.v6())
    throw UsageError(fmt::format("{} and {} are of different families", options.source, options.target));
  plan.mac = options.mac.empty() ? random_mac() : parse_mac(options.mac);
  plan.count = options.count;
  plan.interval = parse_duration(options.interval);
  plan.timeout = parse_duration(options.timeout);
  if (plan.timeout == std::chrono::nanoseconds(0)) throw UsageError("--timeout: must be more than 0");
  plan.size = parse_size(options.size);
  const std::size_t max_data = v6 ? max_data_v6 : max_data_v4;
  if (plan.size > max_data) throw UsageError(fmt::format("--size: {} is more than {}", plan.size, max_data));
  if (options.port.config.mode == Mode::punt_inject) throw UsageError("--mode: ping needs ethernet or ip");
  return plan;
}

double loss_percent(const PingTotals& totals) {
  return totals.sent == 0 ? 0 : 100.0 * static_cast<double>(totals.lost()) / static_cast<double>(totals.sent);
}

double microseconds(double ns) { return std::round(ns) / 1000; }

void print_json_report(const PingPlan& plan, const PingTotals& totals) {
  const LatencyStats& latency = totals.latency;
  print_json({{"schema", "memif-ping/1"},
              {"source", to_string(plan.source.address)},
              {"target", to_string(plan.target)},
              {"sent", totals.sent},
              {"received", totals.received},
              {"lost", totals.lost()},
              {"not_sent", totals.not_sent},
              {"duplicates", totals.duplicates},
              {"corrupted", totals.corrupted},
              {"wrong_checksums", totals.wrong_checksums},
              {"min_us", microseconds(latency.min())},
              {"mean_us", microseconds(latency.mean())},
              {"p50_us", microseconds(latency.percentile(50))},
              {"p90_us", microseconds(latency.percentile(90))},
              {"p99_us", microseconds(latency.percentile(99))},
              {"max_us", microseconds(latency.max())},
              {"stddev_us", microseconds(latency.stddev())}});
}

void print_report(const PingPlan& plan, const PingTotals& totals, std::chrono::nanoseconds took) {
  print_line(fmt::format("\n--- {} ping statistics ---", to_string(plan.target)));
  std::string extra;
  if (totals.not_sent != 0) extra += fmt::format(", {} never left", totals.not_sent);
  if (totals.duplicates != 0) extra += fmt::format(", {} duplicates", totals.duplicates);
  if (totals.corrupted != 0) extra += fmt::format(", {} corrupted", totals.corrupted);
  if (totals.wrong_checksums != 0) extra += fmt::format(" ({} with a wrong ICMP checksum)", totals.wrong_checksums);
  print_line(fmt::format("{} sent, {} received{}, {:.4g}% lost, took {}", totals.sent, totals.received, extra,
                         loss_percent(totals), format_duration(took)));
  const LatencyStats& latency = totals.latency;
  if (latency.count() != 0)
    print_line(fmt::format("min/avg/max/mdev = {:.1f}/{:.1f}/{:.1f}/{:.1f} us, p50/p99 = {:.1f}/{:.1f} us",
                           latency.min() / 1000, latency.mean() / 1000, latency.max() / 1000, latency.stddev() / 1000,
                           latency.percentile(50) / 1000, latency.percentile(99) / 1000));
}

int exit_code(Pinger::End end, const Port& port, const PingTotals& totals, std::optional<double> max_loss) {
  if (end == Pinger::End::link_lost)
    complain(fmt::format("the link on {} is down: {} (--reconnect goes on when the peer returns)",
                         port_name(port.config()), port.why_down()));
  if (max_loss && totals.sent != 0 && loss_percent(totals) > *max_loss) {
    complain(fmt::format("{:.4g}% lost, more than {:.4g}%", loss_percent(totals), *max_loss));
    return exit_threshold;
  }
  if (end == Pinger::End::stopped) return exit_done;
  return end == Pinger::End::finished && totals.received != 0 ? exit_done : exit_failed;
}

int ping(const PingOptions& options) {
  const PingPlan plan = make_plan(options);
  const auto max_loss = parse_percent("--max-loss", options.max_loss);
  Session session;
  Port& port = session.add(options.port);
  const bool chatty = !options.quiet && !options.json;
  const bool flood = plan.interval == std::chrono::nanoseconds(0);
  const std::string from = to_string(plan.target);
  Pinger pinger(session, port, plan, [&](std::uint64_t number, std::size_t bytes, std::chrono::nanoseconds time) {
    if (!chatty) return;
    print_line(fmt::format("{} bytes from {}: seq={} time={}", bytes, from, number, format_duration(time)));
    if (!flood) flush_output();  // somebody may be looking through a pipe
  });
  if (!options.json)
    print_line(fmt::format("PING {} from {} over {}: {} data bytes", from, to_string(plan.source.address),
                           port_name(port.config()), plan.size));
  if (!on_link(plan) && port.config().mode == Mode::ethernet)
    notice(fmt::format("{} is outside {}/{}, and ping knows no gateway: {} for it goes to the peer all the same", from,
                       to_string(plan.source.address), plan.source.length,
                       plan.target.v6() ? "a neighbor solicitation" : "ARP"));
  const auto start = Clock::now();
  const auto report = [&] {
    if (options.json)
      print_json_report(plan, pinger.totals());
    else
      print_report(plan, pinger.totals(), Clock::now() - start);
  };
  Pinger::End end{};
  try {
    end = pinger.run();
  } catch (const Failure& failure) {
    if (failure.code() == exit_no_peer && pinger.totals().sent != 0) report();  // it did not return
    throw;
  }
  report();
  return exit_code(end, port, pinger.totals(), max_loss);
}

}  // namespace

void add_ping(Command app, Action& action) {
  auto options = std::make_shared<PingOptions>();
  Command command = app.add_subcommand("ping", "ping an address across the memif");
  command.add_option("TARGET", options->target, "address to ping").required().type_name("");
  command.add_option("--source", options->source, "address to ping from, such as 192.168.1.1/24")
      .required()
      .type_name("ADDRESS");
  command.add_option("-c,--count", options->count, "end after so many requests (default: go on)")
      .whole_number()
      .type_name("N");
  command
      .add_option("-i,--interval", options->interval,
                  "time between requests, a plain number is seconds; 0: the next when the last was answered")
      .capture_default_str()
      .type_name("DURATION");
  command.add_option("-s,--size", options->size, "bytes of data in a request").capture_default_str().type_name("SIZE");
  command.add_option("-W,--timeout", options->timeout, "how long to wait for an answer")
      .capture_default_str()
      .type_name("DURATION");
  command.add_option("--mac", options->mac, "MAC address (default: a random, locally administered one)")
      .type_name("MAC");
  command.add_option("--max-loss", options->max_loss, "exit with 4 if more is lost, in percent").type_name("PERCENT");
  command.add_flag("-q,--quiet", options->quiet, "only the summary");
  command.add_flag("--json", options->json, "print one JSON object");
  add_port_options(command, options->port);
  command.footer(
      "Answers ARP, ND and pings for its own address meanwhile. Waits 5 s for the peer unless --wait says otherwise.\n"
      "Example: memif ping --socket @lab --role server --source 192.168.1.1/24 -c 100 -i 10ms 192.168.1.2");
  command.callback([&action, options] { action = [options] { return ping(*options); }; });
}

}  // namespace memif::tool
