// The memif command as a process under attack, and what its own metrics tell of it.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

#include "attacks.hpp"

namespace memif::hostile {

// Publishes its counters. Killed when this is destroyed.
class Command {
 public:
  explicit Command(const std::vector<std::string>& words);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  bool running();
  // By SIGTERM: its exit code, as a shell tells it; -1 if it does not end.
  int terminate();
  std::string errors() const;  // the end of what it has written

  pid_t pid() const { return pid_; }
  std::size_t descriptors() const;
  std::uint64_t resident() const;                 // bytes
  double load_over(unsigned milliseconds) const;  // what part of the time goes on processor time

 private:
  pid_t pid_ = -1;
  int errors_ = -1;
  bool ended_ = false;
  int status_ = 0;
};

// memif metrics of a process.
class Metrics {
 public:
  explicit Metrics(pid_t of);

  // Of a server's handshakes, and of what leaves no trace, nothing is told.
  static bool tells(const Expected& expected, Role role);
  // How often `outcome` was seen by the interface on that socket; of those without a trace, how many links are up.
  // -1: it does not answer as it should.
  double count(const std::string& socket, Outcome outcome) const;

  Command& command() { return command_; }

 private:
  std::string get() const;

  Command command_;
  std::uint16_t port_ = 0;
};

}  // namespace memif::hostile
