#include "command.hpp"

#include <arpa/inet.h>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <spawn.h>
#include <sstream>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace memif::hostile {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto patience = 20s;

bool wait_until(const std::function<bool()>& done) {
  for (const auto end = Clock::now() + patience; !done(); std::this_thread::sleep_for(1ms))
    if (Clock::now() > end) return false;
  return true;
}

}  // namespace

// --- Command

Command::Command(const std::vector<std::string>& words) : errors_(::memfd_create("errors", MFD_CLOEXEC)) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, errors_, STDERR_FILENO);
  std::string program = MEMIF_BIN;
  std::vector<char*> arguments{program.data()};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::setenv("MEMIF_PUBLISH", "1", 1);
  const int error = ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + program);
}

Command::~Command() {
  if (running()) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(errors_);
}

bool Command::running() {
  ended_ = ended_ || ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return !ended_;
}

int Command::terminate() {
  if (running()) ::kill(pid_, SIGTERM);
  if (!wait_until([this] { return !running(); })) return -1;
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

std::string Command::errors() const {
  const off_t size = ::lseek(errors_, 0, SEEK_END);
  std::string text(1500, '\0');
  const ssize_t got = ::pread(errors_, text.data(), text.size(), std::max<off_t>(0, size - 1500));
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, got)));
  return text;
}

std::size_t Command::descriptors() const {
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid_) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::uint64_t Command::resident() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
  std::uint64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

double Command::load_over(unsigned milliseconds) const {
  const auto ticks = [this] {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
    std::string text;
    std::getline(file, text);
    std::istringstream rest(text.substr(text.rfind(')') + 2));
    std::string word;
    for (int i = 0; i < 11; ++i) rest >> word;
    long user = 0, system = 0;
    rest >> user >> system;
    return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  };
  const double before = ticks();
  const auto start = Clock::now();
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return (ticks() - before) / std::chrono::duration<double>(Clock::now() - start).count();
}

// --- Metrics

Metrics::Metrics(pid_t of) : command_({"metrics", "--listen", "127.0.0.1:0", "--pid", std::to_string(of)}) {
  const std::string before = "http://127.0.0.1:";
  std::size_t at = std::string::npos;
  const auto serves = [&] { return (at = command_.errors().find(before)) != std::string::npos; };
  if (!wait_until(serves)) throw std::runtime_error("memif metrics does not start: " + command_.errors());
  port_ = static_cast<std::uint16_t>(std::stoul(command_.errors().substr(at + before.size())));
}

bool Metrics::tells(const Expected& expected, Role role) {
  switch (expected.outcome) {
    case Outcome::refused:
      return role == Role::client;
    case Outcome::lost:
    case Outcome::dropped_rx:
    case Outcome::dropped_tx:
      return true;
    case Outcome::harmless:
    case Outcome::contained:
      return false;
  }
  return false;
}

double Metrics::count(const std::string& socket, Outcome outcome) const {
  const std::string name = outcome == Outcome::refused      ? "memif_refusals_total"
                           : outcome == Outcome::lost       ? "memif_disconnects_total"
                           : outcome == Outcome::dropped_rx ? "memif_rx_dropped_total"
                           : outcome == Outcome::dropped_tx ? "memif_tx_dropped_total"
                                                            : "memif_up";
  const std::string answer = get();
  if (!answer.starts_with("HTTP/1.1 200 ")) return -1;
  double sum = 0;
  bool found = false;
  std::istringstream lines(answer);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name + "{") || line.find("socket=\"" + socket + "\"") == std::string::npos) continue;
    sum += std::stod(line.substr(line.rfind(' ')));
    found = true;
  }
  return found ? sum : -1;
}

std::string Metrics::get() const {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval longest{.tv_sec = patience.count(), .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char piece[4096];
    for (ssize_t got; (got = ::recv(fd, piece, sizeof piece, 0)) > 0;)
      answer.append(piece, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return answer;
}

}  // namespace memif::hostile
