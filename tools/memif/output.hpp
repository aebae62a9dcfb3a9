// What the command says: results on standard output, everything else on standard error.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace memif::tool {

// "memif", or "memif SUBCOMMAND" once that is known: the beginning of every complaint.
const std::string& command_name();
void set_command_name(std::string value);

void complain(std::string_view message);  // an error, on standard error
void notice(std::string_view message);    // anything else worth a line on standard error

// A line of results; throws Failure when nobody can read it.
void print_line(std::string_view line);
void print_json(const nlohmann::ordered_json& object, int indent = 2);

// Text from a peer with everything that could drive a terminal replaced.
std::string printable(std::string_view text);

bool terminal(int fd);

}  // namespace memif::tool
