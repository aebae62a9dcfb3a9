// SIGINT, SIGTERM and SIGHUP: the first asks the command to finish, the second kills it. A SIGHUP that was ignored at
// the start (nohup) stays so.
#pragma once

#include <memif/context.hpp>

namespace memif::tool {

// Installs the handlers and wakes `context` when a signal comes. One at a time; main thread.
class StopSignals {
 public:
  explicit StopSignals(Context& context);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  static bool requested() noexcept;

  // From now on `act` is called before any signal kills the program that can be caught, a crash's too. It is called in
  // a signal handler.
  static void before_death(void (*act)()) noexcept;
};

}  // namespace memif::tool
