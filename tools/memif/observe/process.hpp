// What the system tells of a process.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <sys/types.h>

#include <memif/stats.hpp>

namespace memif::tool {

// What the system calls the process, fit for a terminal; empty if it does not tell.
std::string process_name(pid_t pid);

nlohmann::ordered_json process_json(const Credentials& process);

// "NAME, pid 1, uid 2, gid 3"
std::string process_text(const Credentials& process);

// "2.0"
std::string version_text(std::uint16_t version);

}  // namespace memif::tool
