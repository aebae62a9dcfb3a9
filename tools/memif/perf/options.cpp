#include "perf/options.hpp"

#include <fmt/format.h>
#include <limits>

#include "common/command.hpp"
#include "common/units.hpp"

namespace memif::tool {
namespace {

constexpr auto packets_group = "Packets";

void add_text(Command command, const char* names, std::string& value, const char* type, const char* help) {
  Option option = command.add_option(names, value, help);
  option.type_name(type);
  if (!value.empty()) option.capture_default_str();
}

void add_packet_text(Command command, const char* names, std::string& value, const char* type, const char* help) {
  Option option = command.add_option(names, value, help);
  option.type_name(type).group(packets_group);
  if (!value.empty()) option.capture_default_str();
}

void add_packet_options(Command command, PerfOptions& options) {
  add_packet_text(command, "--source", options.source, "ADDRESSES",
                  "where packets come from: an address, FIRST-LAST, or the hosts of a network such as 10.0.0.0/24");
  add_packet_text(command, "--destination", options.destination, "ADDRESSES", "where they go to");
  add_packet_text(command, "--source-port", options.source_port, "PORTS", "UDP port, or FIRST-LAST");
  add_packet_text(command, "--destination-port", options.destination_port, "PORTS", "UDP port, or FIRST-LAST");
  add_packet_text(command, "--source-mac", options.source_mac, "MACS",
                  "MAC address, or FIRST-LAST: one for each source, in turn");
  add_packet_text(command, "--destination-mac", options.destination_mac, "MACS", "the same for destinations");
  add_packet_text(command, "--vlan", options.vlan, "ID[.ID][,ID]",
                  "VLAN, or service and customer VLAN; after a comma, those of the second port, if they differ");
  add_packet_text(command, "--gateway", options.gateway, "ADDRESS[,ADDRESS]",
                  "send to the MAC address of this one, found by ARP or ND; after a comma, the second port's");
  add_packet_text(command, "--pattern", options.pattern, "mesh|pairs|random",
                  "flows: each source with each destination and port; the first with the first and so on; or drawn");
  command.add_option("--flows", options.flows, "so many flows of the pattern (default: all, of random 65536 at most)")
      .whole_number(1, std::uint64_t{1} << 20)
      .type_name("N")
      .group(packets_group);
  command.add_option("--seed", options.seed, "of random flows: the same seed, the same flows")
      .whole_number()
      .capture_default_str()
      .type_name("N")
      .group(packets_group);
}

void add_load_options(Command command, PerfOptions& options) {
  command.add_option("--size", options.size, "bytes a packet, imix, or a mix such as 64:7,570:4,1518:1")
      .type_name("SIZES")
      .default_str("64, or what the headers need");
  add_text(command, "--rate", options.rate, "RATE[,RATE]",
           "such as 10Mpps or 5Gbit/s (default: as fast as the peer takes them); after a comma, the second port's");
  command.add_option("--burst", options.burst, "packets sent at once, 1 to 256")
      .whole_number(1, 256)
      .capture_default_str()
      .type_name("N");
  command.add_option("--cpus", options.cpus, "run each thread on one of these, in turn: 0,1")
      .whole_number(0, std::numeric_limits<unsigned>::max())
      .type_name("N,...")
      .delimiter(',');
}

void add_search_options(Command command, PerfOptions& options) {
  constexpr auto group = "Search";
  command.add_flag("--ndr", options.ndr, "find the highest rate at which nothing is lost").group(group);
  command.add_option("--pdr", options.pdr, "find the highest rate at which no more than so much is lost")
      .type_name("PERCENT")
      .group(group);
  command.add_flag("--back-to-back", options.back_to_back, "find the longest burst that is taken without a pause")
      .group(group);
  command.add_option("--sizes", options.sizes, "search for each of these sizes in turn: 64,512,imix")
      .type_name("SIZE,...")
      .group(group);
  command.add_option("--resolution", options.resolution, "search until the rate is known to within so much")
      .type_name("PERCENT")
      .capture_default_str()
      .group(group);
  command.add_option("--tries", options.tries, "a rate fails when so many trials of it have failed, 1 to 100")
      .whole_number(1, 100)
      .type_name("N")
      .capture_default_str()
      .group(group);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    words.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return words;
}

std::vector<std::uint16_t> parse_vlans(const std::string& text) {
  std::vector<std::uint16_t> ids;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    ids.push_back(static_cast<std::uint16_t>(parse_number(rest.substr(0, dot), 0, 4094)));
    rest.remove_prefix(std::min(dot + 1, rest.size()));
  }
  if (ids.size() > 2 || text.ends_with('.')) throw UsageError(fmt::format("'{}' is not ID or ID.ID", text));
  return ids;
}

FlowPattern parse_pattern(const std::string& text) {
  if (text == "mesh") return FlowPattern::mesh;
  if (text == "pairs") return FlowPattern::pairs;
  if (text == "random") return FlowPattern::random;
  throw UsageError(fmt::format("'{}' is not mesh, pairs or random", text));
}

// What `parse` makes of an option's value; its errors name the option.
template <class Parse>
auto parsed(const char* option, const std::string& text, Parse parse) {
  try {
    return parse(text);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", option, error.what()));
  }
}

double parse_rate(const std::string& text, double mean_size) {
  if (text.empty()) return 0;
  const double rate = is_bit_rate(text) ? parse_bit_rate(text) / 8 / mean_size : parse_packet_rate(text);
  if (rate <= 0) throw UsageError("--rate: the rate must be more than 0");
  return rate;
}

void check_search(const PerfOptions& options) {
  if (options.passive()) throw UsageError("--receive and --reflect: the other end searches");
  if (!options.max_loss.empty()) throw UsageError("--max-loss: in a search, --pdr says how much may be lost");
  if (!options.searches()) throw UsageError("--sizes: it needs --ndr, --pdr or --back-to-back");
}

}  // namespace

void add_perf_options(Command command, PerfOptions& options) {
  add_port_options(command, options.port);
  command.get_option("--port").first_counts().each(
      [&options](const std::string& word) { options.words.push_back(word); });
  command.add_flag("--receive", options.receive, "only receive");
  command.add_flag("--reflect", options.reflect, "send back what comes; with two ports, the second does");
  command.add_flag("--both", options.both, "with two ports: both send to the other");
  command.add_option("-t,--time", options.time, "how long to send; a receiver's time begins with the first packet")
      .type_name("DURATION")
      .default_str("10s, a trial of a search 1s");
  add_text(command, "-i,--interval", options.interval, "DURATION", "report so often; 0: only at the end");
  add_text(command, "--warm-up", options.warm_up, "DURATION", "send for so long before anything is counted");
  add_load_options(command, options);
  add_packet_options(command, options);
  add_search_options(command, options);
  add_text(command, "--min-rate", options.min_rate, "RATE", "exit with 4 below it, such as 1Mpps or 5Gbit/s");
  add_text(command, "--max-loss", options.max_loss, "PERCENT", "exit with 4 if more is lost, in percent");
  command.add_flag("--json", options.json, "print one JSON object");
  command
      .add_option(
          "--report", options.reports,
          "write the result to this file: a page with plots, the numbers of the plots, or all, as its name ends in "
          ".html, .csv or .json; may be given several times")
      .one_value_each()
      .type_name("FILE");
}

void check(const PerfOptions& options) {
  using namespace std::chrono_literals;
  if (options.words.size() > 2) throw UsageError("--port: at most two");
  if (options.receive && !options.one_port()) throw UsageError("--receive: with two ports the second receives anyway");
  if (options.receive && options.reflect) throw UsageError("--receive and --reflect exclude each other");
  if (options.both && options.one_port()) throw UsageError("--both: it needs two ports");
  if (options.both && options.reflect) throw UsageError("--both and --reflect exclude each other");
  if (options.port.reconnect) throw UsageError("--reconnect: perf measures one link");
  if (parse_time(options) == 0ns) throw UsageError("--time: it must be more than 0");
  if (options.passive() && parse_duration(options.warm_up) != 0ns) throw UsageError("--warm-up: it is the sender's");
  if (options.searches() || !options.sizes.empty()) check_search(options);
}

PerfTest test_of(const PerfOptions& options) {
  if (options.passive()) return options.receive ? PerfTest::receive : PerfTest::reflect;
  if (options.both) return PerfTest::both_ways;
  return options.one_port() || options.reflect ? PerfTest::round_trip : PerfTest::one_way;
}

// As the first, at the other end, but for what its word says.
PortOptions second_port(const PerfOptions& options) {
  PortOptions second = options.port;
  second.config.role = second.config.role == Role::client ? Role::server : Role::client;
  apply_port_word(options.words[1], second);
  return second;
}

Clock::duration parse_time(const PerfOptions& options) {
  return parse_duration(!options.time.empty() ? options.time : options.searches() ? "1s" : "10s");
}

std::vector<std::string> sizes_of(const PerfOptions& options, const FlowPlan& flows) {
  if (!options.sizes.empty()) return split(options.sizes);
  if (!options.size.empty()) return {options.size};
  return {std::to_string(std::max<std::size_t>(64, headers_size(flows) + PerfMark::size))};
}

ThroughputPlan parse_search(const PerfOptions& options) {
  ThroughputPlan plan{.bursts = options.back_to_back,
                      .flows = parse_flows(options),
                      .rates = [&options](double mean_size) { return parse_rates(options, mean_size); },
                      .burst = options.burst,
                      .time = parse_time(options),
                      .resolution = parse_percent("--resolution", options.resolution).value_or(1) / 100,
                      .tries = static_cast<unsigned>(options.tries)};
  plan.sizes = sizes_of(options, plan.flows.front());
  if (options.ndr) plan.goals.emplace_back();
  if (const auto loss = parse_percent("--pdr", options.pdr)) plan.goals.push_back({"pdr", *loss});
  if (plan.resolution < 0.0001 || plan.resolution > 0.5) throw UsageError("--resolution: 0.01 to 50 percent");
  return plan;
}

PerfLimits parse_limits(const PerfOptions& options) {
  PerfLimits limits{.min_rate_text = options.min_rate, .max_loss_text = options.max_loss};
  if (is_bit_rate(options.min_rate))
    limits.min_bps = parse_bit_rate(options.min_rate);
  else if (!options.min_rate.empty())
    limits.min_pps = parse_packet_rate(options.min_rate);
  limits.max_loss_percent = parse_percent("--max-loss", options.max_loss);
  return limits;
}

ForBoth split_for_both(const std::string& text) {
  const std::size_t comma = text.find(',');
  if (comma == text.npos) return {text, text};
  return {text.substr(0, comma), text.substr(comma + 1)};
}

std::array<double, 2> parse_rates(const PerfOptions& options, double mean_size) {
  const ForBoth rates = split_for_both(options.rate);
  if (rates[0] != rates[1] && !options.both) throw UsageError("--rate: a second one needs --both");
  return {parse_rate(rates[0], mean_size), parse_rate(rates[1], mean_size)};
}

std::array<FlowPlan, 2> parse_flows(const PerfOptions& options) {
  FlowPlan plan{.mode = options.port.config.mode,
                .source = {parsed("--source-mac", options.source_mac, parse_mac_range),
                           parsed("--source", options.source, parse_address_range),
                           parsed("--source-port", options.source_port, parse_port_range)},
                .destination = {parsed("--destination-mac", options.destination_mac, parse_mac_range),
                                parsed("--destination", options.destination, parse_address_range),
                                parsed("--destination-port", options.destination_port, parse_port_range)},
                .pattern = parsed("--pattern", options.pattern, parse_pattern),
                .flows = options.flows,
                .seed = options.seed};
  if (plan.source.addresses.size != plan.destination.addresses.size)
    throw UsageError("--source and --destination are of different families");
  if (plan.mode != Mode::ethernet && !(options.vlan.empty() && options.gateway.empty()))
    throw UsageError("--vlan and --gateway need --mode ethernet: other packets have no tags and no MAC addresses");
  FlowPlan back = reversed(plan);
  const ForBoth vlans = split_for_both(options.vlan);
  plan.vlans = parsed("--vlan", vlans[0], parse_vlans);
  back.vlans = parsed("--vlan", vlans[1], parse_vlans);
  return {plan, back};
}

std::array<std::optional<IpAddress>, 2> parse_gateways(const PerfOptions& options) {
  const std::string& text = options.gateway;
  const bool one = text.find(',') == text.npos;
  const ForBoth words = one ? ForBoth{text, ""} : split_for_both(text);
  std::array<std::optional<IpAddress>, 2> gateways;
  const bool v6 = parse_address_range(options.source).size == 16;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].empty()) continue;
    gateways[i] = parsed("--gateway", words[i], parse_address);
    if (gateways[i]->v6() != v6) throw UsageError("--gateway and --source are of different families");
  }
  return gateways;
}

}  // namespace memif::tool
