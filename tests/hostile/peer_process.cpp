#include "peer_process.hpp"

#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace memif::hostile {

PeerProcess::PeerProcess(const std::vector<std::string>& command) {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const int error = ::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  to_ = in[1];
  from_ = out[0];
  if (error != 0) throw std::runtime_error("cannot start " + command[0]);
}

PeerProcess::~PeerProcess() {
  if (!reaped_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(to_);
  ::close(from_);
}

void PeerProcess::tell(char command) {
  if (::write(to_, &command, 1) != 1) throw std::runtime_error("the peer is gone");
}

int PeerProcess::answer() {
  pollfd entry{from_, POLLIN, 0};
  if (::poll(&entry, 1, 0) != 1) return 0;
  char c;
  return ::read(from_, &c, 1) == 1 ? c : -1;
}

bool PeerProcess::stopped() {
  int status = 0;
  if (reaped_ || ::waitpid(pid_, &status, WNOHANG | WUNTRACED) != pid_) return reaped_;
  if (WIFSTOPPED(status)) return true;
  return reaped_ = true;
}

bool PeerProcess::ended() {
  if (!reaped_ && ::waitpid(pid_, nullptr, WNOHANG) == pid_) reaped_ = true;
  return reaped_;
}

}  // namespace memif::hostile
