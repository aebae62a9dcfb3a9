#include "observe/program.hpp"

#include <ctime>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/output.hpp"
#include "observe/observed.hpp"
#include "observe/process.hpp"

namespace memif::tool {
namespace {

using WallTime = std::chrono::system_clock::time_point;

void indented_line(std::string_view label, const std::string& text) {
  print_line(fmt::format("  {:<12} {}", label, text));
}

std::string when(WallTime time) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(std::chrono::system_clock::to_time_t(time)));
}

std::string state(const ObservedInterface& seen) {
  if (seen.peer) return fmt::format("up, to {} ({})", seen.peer->app_name, seen.peer->interface_name);
  if (seen.last_reason) return "down: " + seen.last_reason->text;
  return seen.role == Role::server ? "down: nobody connected yet" : "down: not connected yet";
}

std::string ring_text(const std::optional<ObservedRing>& ring) {
  if (!ring) return "down";
  std::string text = fmt::format("{} descriptors", ring->ring_size);
  if (ring->buffer_size != 0) text += fmt::format(" of {} bytes", ring->buffer_size);
  text += fmt::format(", region {} offset {}", ring->region, ring->offset);
  if (ring->live)
    text += fmt::format(", head {}, tail {}, {} used, {}", ring->live->head, ring->live->tail, ring->live->used,
                        (ring->live->flags & 1) != 0 ? "polled" : "interrupts");
  return text;
}

template <class Queue>
void print_queues(std::string_view label, const std::vector<Queue>& queues) {
  for (std::size_t i = 0; i < queues.size(); ++i) {
    indented_line(fmt::format("{} {}", label, i), ring_text(queues[i].ring));
    indented_line("", counters_text(queues[i].totals));
  }
}

void print_interface(const ObservedInterface& seen) {
  print_line(fmt::format("{} on {} id {}, {}, {} mode", seen.name, seen.socket, seen.id, to_string(seen.role),
                         to_string(seen.mode)));
  indented_line("process", process_text(seen.program));
  indented_line("application", seen.app_name);
  indented_line("state", fmt::format("{}, since {}", state(seen), when(seen.changed)));
  if (seen.peer) {
    const Credentials& peer = seen.peer->credentials;
    indented_line("peer", fmt::format("pid {}, uid {}, gid {}, version {}", peer.pid, peer.uid, peer.gid,
                                      version_text(seen.peer->version)));
  }
  indented_line("history",
                fmt::format("{} connects, {} disconnects, {} refusals since {}{}", seen.connects, seen.disconnects,
                            seen.refusals, when(seen.started),
                            seen.peer && seen.last_reason ? "; last: " + seen.last_reason->text : std::string()));
  for (std::size_t i = 0; i < seen.regions.size(); ++i)
    indented_line(fmt::format("region {}", i),
                  fmt::format("{} bytes{}{}", seen.regions[i].size, seen.regions[i].external ? ", external" : "",
                              seen.regions[i].sealed ? ", sealed" : ", not sealed"));
  print_queues("receive", seen.rx);
  print_queues("transmit", seen.tx);
}

void print_brief(const std::vector<ObservedInterface>& all) {
  print_line(
      fmt::format("{:>7} {:<15} {:<16} {:<6} {}", "PID", "PROGRAM", "INTERFACE", "ROLE", "SOCKET, ID AND STATE"));
  for (const ObservedInterface& seen : all)
    print_line(fmt::format("{:>7} {:<15} {:<16} {:<6} {} id {}, {}", seen.program.pid, program_name(seen), seen.name,
                           to_string(seen.role), seen.socket, seen.id, state(seen)));
}

}  // namespace

int show_programs(const std::vector<pid_t>& pids, bool brief, bool json) {
  const Observation seen = look(pids);
  const auto& all = seen.interfaces;
  if (json) {
    nlohmann::ordered_json interfaces = nlohmann::ordered_json::array();
    for (const ObservedInterface& one : all) interfaces.push_back(to_json(one));
    print_json({{"schema", "memif-info/1"}, {"interfaces", interfaces}, {"skipped", seen.skipped}});
  } else if (brief) {
    print_brief(all);
  } else {
    for (const ObservedInterface& one : all) print_interface(one);
  }
  if (seen.why) notice(fmt::format("{} skipped; the first: {}", seen.skipped, seen.why->message));
  return exit_done;
}

}  // namespace memif::tool
