#include "output.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "command.hpp"

namespace memif::tool {
namespace {

std::string& name() {
  static std::string value = "memif";
  return value;
}

bool coloured(int fd) {
  const char* forbidden = std::getenv("NO_COLOR");
  return (forbidden == nullptr || *forbidden == '\0') && terminal(fd);
}

}  // namespace

const std::string& command_name() { return name(); }
void set_command_name(std::string value) { name() = std::move(value); }

void complain(std::string_view message) {
  const bool colour = coloured(STDERR_FILENO);
  fmt::print(stderr, "{}{}:{} {}\n", colour ? "\x1b[1;31m" : "", name(), colour ? "\x1b[0m" : "", message);
}

void notice(std::string_view message) { fmt::print(stderr, "{}: {}\n", name(), message); }

void print_line(std::string_view line) {
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fputc('\n', stdout) == EOF ||
      (terminal(STDOUT_FILENO) && std::fflush(stdout) != 0))
    throw Failure(exit_failed, fmt::format("cannot write to standard output: {}", std::strerror(errno)));
}

void print_json(const nlohmann::ordered_json& object, int indent) {
  print_line(object.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f)
      result += fmt::format("\\x{:02x}", byte);
    else
      result += c;
  }
  return result;
}

bool terminal(int fd) { return ::isatty(fd) == 1; }

}  // namespace memif::tool
