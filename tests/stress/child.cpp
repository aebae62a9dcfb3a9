#include "child.hpp"

#include <csignal>
#include <cstdlib>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace memif::stress {

Child::Child(const std::vector<std::string>& arguments) {
  std::vector<char*> words{const_cast<char*>(STRESS_PEER)};
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == parent) ::execv(STRESS_PEER, words.data());
  ::_exit(127);
}

void Child::signal_kill() const noexcept {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

void Child::kill() noexcept {
  if (pid_ <= 0) return;
  signal_kill();
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::optional<int> Child::wait(std::chrono::seconds patience) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  pollfd descriptor{.fd = fd, .events = POLLIN, .revents = 0};
  const bool ended = ::poll(&descriptor, 1, static_cast<int>(patience.count() * 1000)) > 0;
  ::close(fd);
  if (!ended) return std::nullopt;
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::uint64_t amount(const char* variable, std::uint64_t otherwise, std::uint64_t slow) {
  if (const char* text = std::getenv(variable)) return std::strtoull(text, nullptr, 10);
  return sanitized ? slow : otherwise;
}

}  // namespace memif::stress
