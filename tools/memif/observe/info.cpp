// memif info: what is at the other end of a socket.
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include <memif/memif.hpp>

#include "common/command.hpp"
#include "common/options.hpp"
#include "common/output.hpp"
#include "common/session.hpp"
#include "observe/observed.hpp"
#include "observe/process.hpp"
#include "observe/program.hpp"

namespace memif::tool {
namespace {

using Json = nlohmann::ordered_json;

struct InfoOptions {
  PortOptions port;
  std::vector<pid_t> pids;
  bool json = false, connect = false, list = false;
};

void line(std::string_view label, const std::string& text) { print_line(fmt::format("{:<12} {}", label, text)); }

void process_line(const Credentials& process) { line("process", process_text(process)); }

// --- HELLO only ---

Json listener_json(const ListenerInfo& info) {
  return {{"app_name", printable(info.app_name)},
          {"min_version", version_text(info.min_version)},
          {"max_version", version_text(info.max_version)},
          {"max_regions", info.max_regions},
          {"max_client_to_server_rings", info.max_s2m_rings},
          {"max_server_to_client_rings", info.max_m2s_rings},
          {"max_ring_size", info.max_ring_size},
          {"process", process_json(info.credentials)}};
}

void print_listener(const ListenerInfo& info) {
  line("application", printable(info.app_name));
  process_line(info.credentials);
  const std::string min = version_text(info.min_version), max = version_text(info.max_version);
  line("version", min == max ? min : fmt::format("{} to {}", min, max));
  line("limits", fmt::format("{} regions, {} rings from the client, {} to the client, {} descriptors a ring",
                             info.max_regions, info.max_s2m_rings, info.max_m2s_rings, info.max_ring_size));
}

int show_listener(const InfoOptions& options) {
  const InterfaceConfig& config = options.port.config;
  if (config.role == Role::server) throw UsageError("--role server needs --connect: only listeners can be probed");
  check_port(options.port);
  const auto wait = options.port.wait ? std::chrono::ceil<std::chrono::milliseconds>(*options.port.wait)
                                      : std::chrono::milliseconds(-1);
  const auto info = probe(config.socket, wait);
  if (!info) throw Failure(exit_no_peer, info.error().message);
  if (options.json) {
    print_json({{"schema", "memif-info/1"}, {"socket", config.socket}, {"listener", listener_json(*info)}});
  } else {
    line("socket", config.socket);
    print_listener(*info);
  }
  return exit_done;
}

// --- Connected ---

Json regions_json(const std::vector<RegionInfo>& regions) {
  Json result = Json::array();
  for (const RegionInfo& region : regions)
    result.push_back({{"index", region.index},
                      {"size_bytes", region.size},
                      {"external", region.external},
                      {"sealed", region.sealed}});
  return result;
}

Json rings_json(const std::vector<RingInfo>& rings) {
  Json result = Json::array();
  for (const RingInfo& ring : rings)
    result.push_back({{"queue", ring.queue},
                      {"ring_size", ring.ring_size},
                      {"buffer_size_bytes", ring.buffer_size},
                      {"region", ring.region},
                      {"offset_bytes", ring.offset},
                      {"head", ring.head},
                      {"tail", ring.tail},
                      {"flags", ring.flags}});
  return result;
}

Json connected_json(const InterfaceConfig& config, const InterfaceInfo& info) {
  Json peer;
  if (info.peer)
    peer = {{"app_name", printable(info.peer->app_name)},
            {"interface_name", printable(info.peer->interface_name)},
            {"version", version_text(info.peer->version)},
            {"process", process_json(info.peer->credentials)}};
  return {{"schema", "memif-info/1"},
          {"socket", config.socket},
          {"id", config.id},
          {"role", to_string(config.role)},
          {"mode", to_string(config.mode)},
          {"peer", peer},
          {"regions", regions_json(info.regions)},
          {"rx", rings_json(info.rx)},
          {"tx", rings_json(info.tx)}};
}

void print_rings(const char* label, const std::vector<RingInfo>& rings) {
  for (const RingInfo& ring : rings) {
    const std::string buffers = ring.buffer_size != 0 ? fmt::format(" of {} bytes", ring.buffer_size) : std::string();
    line(fmt::format("{} {}", label, ring.queue),
         fmt::format("{} descriptors{}, region {} offset {}, head {}, tail {}{}", ring.ring_size, buffers, ring.region,
                     ring.offset, ring.head, ring.tail, (ring.flags & 1) != 0 ? ", polled" : ", interrupts"));
  }
}

void print_connected(const InterfaceConfig& config, const InterfaceInfo& info) {
  line("port", fmt::format("{}, {}, {} mode", port_name(config), to_string(config.role), to_string(config.mode)));
  if (info.peer) {
    line("application", printable(info.peer->app_name));
    line("interface", printable(info.peer->interface_name));
    process_line(info.peer->credentials);
    line("version", version_text(info.peer->version));
  }
  for (const RegionInfo& region : info.regions)
    line(fmt::format("region {}", region.index),
         fmt::format("{} bytes{}{}", region.size, region.external ? ", external" : "",
                     region.sealed ? ", sealed" : ", not sealed"));
  print_rings("receive", info.rx);
  print_rings("transmit", info.tx);
}

int show_connected(const InfoOptions& options) {
  Session session;
  Port& port = session.add(options.port);
  if (!session.await_link(port)) return exit_done;
  const InterfaceInfo info = port.interface().info();
  if (options.json)
    print_json(connected_json(port.config(), info));
  else
    print_connected(port.config(), info);
  return exit_done;
}

}  // namespace

void add_info(Command app, Action& action) {
  auto options = std::make_shared<InfoOptions>();
  Command command =
      app.add_subcommand("info", "ask a listener for its versions, limits and process; or show interfaces in use");
  Option connect =
      command.add_flag("--connect", options->connect, "take the interface and show its regions, rings and peer");
  Option list = command.add_flag("--list", options->list, "list the interfaces of running programs");
  Option pid = add_pid_option(command, options->pids, "show all that these programs publish");
  list.excludes(connect);
  pid.excludes(connect).excludes(list);
  command.add_flag("--json", options->json, "print one JSON object");
  add_port_options(command, options->port);
  command.footer(
      "Without --connect, only the listener's greeting is looked at, and no interface is disturbed. Two kinds of "
      "programs\n"
      "do not survive that: gomemif as server, which is to be asked with --connect; and one with libmemif 4.0 that has "
      "not\n"
      "greeted by the end of --wait and half a second more (is it stopped?).\n"
      "--pid and --list show programs that publish: those of the C API and this command when they are started with\n"
      "MEMIF_PUBLISH=1, others by their own choice.\n"
      "Example: memif info --socket /run/vpp/memif.sock --json");
  command.callback([&action, options] {
    action = [options] {
      if (options->list || !options->pids.empty()) return show_programs(options->pids, options->list, options->json);
      return options->connect ? show_connected(*options) : show_listener(*options);
    };
  });
}

}  // namespace memif::tool
