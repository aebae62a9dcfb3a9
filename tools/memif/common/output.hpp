// What the command says: results on standard output, everything else on standard error.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace memif::tool {

// "memif", or "memif SUBCOMMAND" once that is known: the beginning of every complaint.
const std::string& command_name();
void set_command_name(std::string value);

void complain(std::string_view message);  // an error, on standard error
void notice(std::string_view message);    // anything else worth a line on standard error

// A line on standard error that takes the place of the one before, if that is a terminal; an empty one only removes it.
void show_progress(std::string_view text);

// Results. They are kept until there are many of them, unless a terminal shows them at once; flush_output() writes them
// for a reader who waits. All throw Failure when nobody can read them.
void print(std::string_view text);
void print_line(std::string_view line);
void print_json(const nlohmann::ordered_json& object, int indent = 2);
void flush_output();

// Writes all of it, also when signals come between, or a part if there is an error: errno. Returns how much.
std::size_t write_all(int fd, std::string_view bytes) noexcept;

// Text from a peer with everything that could drive a terminal replaced.
std::string printable(std::string_view text);

bool terminal(int fd);

}  // namespace memif::tool
