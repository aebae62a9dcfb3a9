// SIGINT, SIGTERM and SIGHUP: the first asks the command to finish, the second kills it. A SIGHUP that was ignored at
// the start (nohup) stays so.
#pragma once

#include <chrono>

#include <memif/context.hpp>

namespace memif::tool {

// However busy the queues are, signals and links are looked after this often.
inline constexpr std::chrono::milliseconds control_period{1};

// A peer that has not come by then may never come: whoever waits should know.
inline constexpr std::chrono::seconds long_wait{1};

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
