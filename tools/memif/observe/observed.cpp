#include "observe/observed.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <tuple>

#include "common/options.hpp"
#include "common/published.hpp"
#include "observe/process.hpp"

namespace memif::tool {
namespace {

using Json = nlohmann::ordered_json;
using WallTime = std::chrono::system_clock::time_point;

double unix_time(WallTime time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

auto key(const ObservedInterface& seen) { return std::tie(seen.program.pid, seen.socket, seen.id, seen.role); }

void append(Observation& to, Observation more) {
  std::move(more.interfaces.begin(), more.interfaces.end(), std::back_inserter(to.interfaces));
  to.skipped += more.skipped;
  if (!to.why) to.why = std::move(more.why);
}

template <class Queue>
Json queue_json(std::size_t index, const Queue& queue) {
  Json json{{"queue", index}, {"up", queue.ring.has_value()}};
  for (const auto& counter : decltype(queue.totals)::table) json[counter.name] = queue.totals.*counter.value;
  const std::optional<ObservedRing>& ring = queue.ring;
  if (!ring) return json;
  json["ring_size"] = ring->ring_size;
  json["buffer_size_bytes"] = ring->buffer_size;
  json["region"] = ring->region;
  json["offset_bytes"] = ring->offset;
  if (ring->live) {
    json["head"] = ring->live->head;
    json["tail"] = ring->live->tail;
    json["flags"] = ring->live->flags;
    json["used"] = ring->live->used;
  }
  return json;
}

template <class Queue>
Json queues_json(const std::vector<Queue>& queues) {
  Json json = Json::array();
  for (std::size_t i = 0; i < queues.size(); ++i) json.push_back(queue_json(i, queues[i]));
  return json;
}

template <class Totals>
std::string text_of(const Totals& totals) {
  std::string text;
  for (const auto& counter : Totals::table) {
    const std::uint64_t value = totals.*counter.value;
    const bool always = counter.value == &Totals::packets || counter.value == &Totals::bytes;
    if (always || value != 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", value, counter.text);
  }
  return text;
}

// A server may have very many queues that no client ever used: those behind the last one that has, or had, a ring.
template <class Queue>
void leave_out_unused(std::vector<Queue>& queues) {
  while (queues.size() > 1 && !queues.back().ring && queues.back().totals.bursts == 0) queues.pop_back();
}

}  // namespace

Option add_pid_option(Command command, std::vector<pid_t>& pids, const std::string& help) {
  return command.add_option("--pid", pids, help)
      .type_name("PID")
      .delimiter(',')
      .whole_number(1, std::numeric_limits<pid_t>::max());
}

Observation look(const std::vector<pid_t>& pids) {
  Observation result;
  for (const pid_t pid : pids) append(result, published_by(pid));
  if (pids.empty()) result = observe_all();
  auto& all = result.interfaces;
  for (ObservedInterface& one : all) {
    leave_out_unused(one.rx);
    leave_out_unused(one.tx);
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::make_tuple(key(a), !a.connected) < std::make_tuple(key(b), !b.connected);
  });
  all.erase(std::unique(all.begin(), all.end(), [](const auto& a, const auto& b) { return key(a) == key(b); }),
            all.end());
  return result;
}

std::string program_name(const ObservedInterface& seen) {
  std::string name = process_name(seen.program.pid);
  return name.empty() ? seen.app_name : name;
}

std::optional<std::uint32_t> used(const std::optional<ObservedRing>& ring) {
  if (!ring || !ring->live) return std::nullopt;
  return ring->live->used;
}

std::string counters_text(const RxTotals& totals) { return text_of(totals); }
std::string counters_text(const TxTotals& totals) { return text_of(totals); }

Json to_json(const ObservedInterface& seen) {
  Json json{{"process", process_json(seen.program)},
            {"app_name", seen.app_name},
            {"name", seen.name},
            {"socket", seen.socket},
            {"id", seen.id},
            {"role", to_string(seen.role)},
            {"mode", to_string(seen.mode)},
            {"started_unix_s", unix_time(seen.started)},
            {"connected", seen.connected},
            {"changed_unix_s", unix_time(seen.changed)},
            {"connects", seen.connects},
            {"disconnects", seen.disconnects},
            {"refusals", seen.refusals}};
  if (seen.peer)
    json["peer"] = {{"app_name", seen.peer->app_name},
                    {"interface_name", seen.peer->interface_name},
                    {"version", version_text(seen.peer->version)},
                    // As the program sees it: in a container, another process may have that pid here.
                    {"process",
                     {{"pid", seen.peer->credentials.pid},
                      {"uid", seen.peer->credentials.uid},
                      {"gid", seen.peer->credentials.gid}}}};
  if (seen.last_reason)
    json["last_reason"] = {{"from_peer", seen.last_reason->from_peer}, {"text", seen.last_reason->text}};
  json["regions"] = Json::array();
  for (std::size_t i = 0; i < seen.regions.size(); ++i)
    json["regions"].push_back({{"index", i},
                               {"size_bytes", seen.regions[i].size},
                               {"external", seen.regions[i].external},
                               {"sealed", seen.regions[i].sealed}});
  json["rx"] = queues_json(seen.rx);
  json["tx"] = queues_json(seen.tx);
  return json;
}

}  // namespace memif::tool
