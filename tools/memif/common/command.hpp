// What all subcommands share: exit codes, failures, and how a subcommand joins the program.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

namespace memif::tool {

class Command;

enum ExitCode : int {
  exit_done = 0,
  exit_failed = 1,     // while running
  exit_usage = 2,      // wrong usage
  exit_no_peer = 3,    // refused, or nobody came in time
  exit_threshold = 4,  // a limit that the user set was missed
};

// Ends the command: main() prints the message and leaves with the code.
class Failure : public std::runtime_error {
 public:
  Failure(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

class UsageError : public Failure {
 public:
  explicit UsageError(const std::string& message) : Failure(exit_usage, message) {}
};

// What the chosen subcommand does; its result is the exit code.
using Action = std::function<int()>;

// Each subcommand lives in a source file of its own and registers itself by one of these: options, help, and a
// callback that sets `action` when the subcommand is chosen. A new one is declared here and listed in app.cpp; its help
// has an example, which the tests run.
void add_respond(Command app, Action& action);
void add_ping(Command app, Action& action);
void add_dump(Command app, Action& action);
void add_info(Command app, Action& action);
void add_bridge(Command app, Action& action);
void add_replay(Command app, Action& action);
void add_perf(Command app, Action& action);
void add_top(Command app, Action& action);
void add_metrics(Command app, Action& action);

}  // namespace memif::tool
