// Processes of another user, whom root's permissions do not help. Only root can start them.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace memif::test {

inline constexpr uid_t nobody = 65534;
inline constexpr gid_t nogroup = 65534;

// Runs `body` in such a process, which exits with 0 if it returns true. The caller waits for it.
template <class Body>
pid_t fork_as_nobody(Body body) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  if (::setresgid(nogroup, nogroup, nogroup) != 0 || ::setresuid(nobody, nobody, nobody) != 0) ::_exit(99);
  ::_exit(body() ? 0 : 1);
}

// The same to its end: the status as waitpid() tells it.
template <class Body>
int as_nobody(Body body) {
  int status = -1;
  ::waitpid(fork_as_nobody(body), &status, 0);
  return status;
}

}  // namespace memif::test
