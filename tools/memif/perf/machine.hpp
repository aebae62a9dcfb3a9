// The machine that something was measured on, as far as it says.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace memif::tool {

// "cpu", "cpus", "memory_bytes", "kernel", "governor", "virtual": null where it is not known.
nlohmann::ordered_json describe_machine();

// The command line of this process, without secrets; and of any, as /proc has it.
std::string describe_command();
std::string describe_command(std::string_view words);

}  // namespace memif::tool
