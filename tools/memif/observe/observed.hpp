// Running programs as info, top and metrics see them: what they publish, chosen by pid, and as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include <memif/observe.hpp>

namespace memif::tool {

class Command;
class Option;

// Adds --pid, for several programs.
Option add_pid_option(Command command, std::vector<pid_t>& pids, const std::string& help);

// The interfaces of these programs or, with none named, of all that publish and may be observed, by pid, socket and id.
// No two have the same pid, socket, id and role. Throws Failure for a program that was named and cannot be observed;
// of the others, those that cannot are left out.
Observation look(const std::vector<pid_t>& pids);

// A program's command, from the system; "app_name" of its interfaces if that does not tell.
std::string program_name(const ObservedInterface& seen);

// Descriptors in use, if known: ObservedRing::Live::used.
std::optional<std::uint32_t> used(const std::optional<ObservedRing>& ring);

// "3 packets, 180 bytes, 2 sleeps": those that are not 0, but always packets and bytes.
std::string counters_text(const RxTotals& totals);
std::string counters_text(const TxTotals& totals);

// docs/info.md, "--json".
nlohmann::ordered_json to_json(const ObservedInterface& seen);

}  // namespace memif::tool
