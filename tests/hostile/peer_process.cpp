#include "peer_process.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <malloc.h>
#include <poll.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

// Present when AddressSanitizer is: its heap does not show in mallinfo2().
extern "C" [[gnu::weak]] std::size_t __sanitizer_get_current_allocated_bytes();

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

Resources resources() {
  Resources now;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++now.descriptors;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) ++now.mappings;
  now.heap = __sanitizer_get_current_allocated_bytes != nullptr ? __sanitizer_get_current_allocated_bytes()
                                                                : ::mallinfo2().uordblks;
  return now;
}

std::size_t heap_noise() { return __sanitizer_get_current_allocated_bytes != nullptr ? 2048 : 8192; }

}  // namespace memif::hostile
