// A process that is stopped before and after each of its system calls: whatever may happen between two of them, a test
// can do.
#pragma once

#include <csignal>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

namespace memif::test {

inline constexpr int cannot_be_traced = 99;

// Runs `body` in such a process, which exits with what it returns, and calls `at_stop` with its pid at each stop. Its
// exit code, -1 if it was killed; cannot_be_traced where that is so.
template <class Body, class AtStop>
int run_traced(Body body, AtStop at_stop) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(cannot_be_traced);
    ::raise(SIGSTOP);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (WIFSTOPPED(status)) ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
  while (WIFSTOPPED(status)) {
    at_stop(pid);
    ::ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr);
    ::waitpid(pid, &status, 0);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace memif::test
