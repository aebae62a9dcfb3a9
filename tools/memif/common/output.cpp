#include "common/output.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>
#include <utility>

#include "common/command.hpp"

namespace memif::tool {
namespace {

std::string& name() {
  static std::string value = "memif";
  return value;
}

constexpr std::size_t most_kept = std::size_t{64} << 10;

// Results that are not written yet. Not stdio's buffer, which loses its content when a signal interrupts a write.
std::string& kept() {
  static std::string text;
  return text;
}

bool coloured(int fd) {
  const char* forbidden = std::getenv("NO_COLOR");
  return (forbidden == nullptr || *forbidden == '\0') && terminal(fd);
}

}  // namespace

const std::string& command_name() { return name(); }
void set_command_name(std::string value) { name() = std::move(value); }

// Nobody can be told that nobody can be told.
void complain(std::string_view message) {
  const bool colour = coloured(STDERR_FILENO);
  write_all(STDERR_FILENO,
            fmt::format("{}{}:{} {}\n", colour ? "\x1b[1;31m" : "", name(), colour ? "\x1b[0m" : "", message));
}

void notice(std::string_view message) { write_all(STDERR_FILENO, fmt::format("{}: {}\n", name(), message)); }

void show_progress(std::string_view text) {
  if (terminal(STDERR_FILENO)) write_all(STDERR_FILENO, fmt::format("\r\x1b[K{}", text));
}

void print(std::string_view text) {
  kept() += text;
  if (kept().size() >= most_kept || terminal(STDOUT_FILENO)) flush_output();
}

void print_line(std::string_view line) { print(fmt::format("{}\n", line)); }

void print_json(const nlohmann::ordered_json& object, int indent) {
  print_line(object.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void flush_output() {
  const std::string text = std::exchange(kept(), {});
  if (write_all(STDOUT_FILENO, text) != text.size())
    throw Failure(exit_failed, fmt::format("cannot write to standard output: {}", std::strerror(errno)));
}

std::size_t write_all(int fd, std::string_view bytes) noexcept {
  std::size_t done = 0;
  while (done != bytes.size()) {
    const ssize_t written = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (written >= 0) {
      done += static_cast<std::size_t>(written);
    } else if (errno == EAGAIN) {  // somebody else made it non-blocking
      pollfd room{fd, POLLOUT, 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      break;
    }
  }
  return done;
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
