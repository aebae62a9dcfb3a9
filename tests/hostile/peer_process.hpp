// A helper program of the tests.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace memif::hostile {

// Runs until destroyed; then it is killed and waited for.
class PeerProcess {
 public:
  explicit PeerProcess(const std::vector<std::string>& command);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  void tell(char command);
  // What it has answered: 0 is nothing yet, -1 is the end of it.
  int answer();
  pid_t pid() const { return pid_; }
  bool stopped();  // by SIGSTOP, or ended
  bool ended();

 private:
  pid_t pid_ = -1;
  int to_ = -1, from_ = -1;
  bool reaped_ = false;
};

}  // namespace memif::hostile
