#include "observe/screen.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <poll.h>
#include <string_view>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/command.hpp"
#include "common/output.hpp"
#include "common/stop.hpp"

namespace memif::tool {
namespace {

void show(std::string_view text) {
  if (write_all(STDOUT_FILENO, text) != text.size())
    throw Failure(exit_failed, fmt::format("cannot write to the terminal: {}", std::strerror(errno)));
}

constexpr std::string_view enter = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J", leave = "\x1b[?25h\x1b[?1049l";

// Where a signal handler finds it.
termios before;
bool changed = false;

void restore_modes() noexcept {
  if (changed) ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
  changed = false;
}

// A terminal that takes nothing now must not keep the program from dying.
void restore_before_death() {
  restore_modes();
  pollfd room{STDOUT_FILENO, POLLOUT, 0};
  if (::poll(&room, 1, 0) == 1) [[maybe_unused]]
    const ssize_t ignored = ::write(STDOUT_FILENO, leave.data(), leave.size());
}

}  // namespace

Screen::Screen() {
  StopSignals::before_death(restore_before_death);
  show(enter);
  termios now{};
  if (::tcgetattr(STDIN_FILENO, &now) == 0) {
    before = now;
    changed = keys_ = true;
    now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    now.c_cc[VMIN] = 0;
    now.c_cc[VTIME] = 0;
    now.c_cc[VSUSP] = _POSIX_VDISABLE;  // stopped, it would leave the terminal as it is
    ::tcsetattr(STDIN_FILENO, TCSANOW, &now);
  }
}

Screen::~Screen() {
  write_all(STDOUT_FILENO, leave);
  restore_modes();
  StopSignals::before_death(nullptr);
}

Screen::Size Screen::size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {80, 24};
  return {size.ws_col, size.ws_row};
}

void Screen::draw(const std::vector<std::string>& lines) {
  const auto [columns, rows] = size();
  std::string text = "\x1b[H";
  for (std::size_t i = 0; i < std::min(lines.size(), rows - 1); ++i) {
    const std::string_view line = std::string_view(lines[i]).substr(0, columns);
    text += i == 0 ? fmt::format("\x1b[7m{:<{}}\x1b[0m\n", line, columns) : fmt::format("{}\x1b[K\n", line);
  }
  show(text + "\x1b[J");
}

int Screen::keys() const noexcept { return keys_ && !ended_ ? STDIN_FILENO : -1; }

std::optional<char> Screen::key() {
  char key = 0;
  if (keys() < 0) return std::nullopt;
  if (::read(STDIN_FILENO, &key, 1) == 1) return key;
  ended_ = true;
  return std::nullopt;
}

}  // namespace memif::tool
