// SIGINT and SIGTERM: the first asks the command to finish, the second kills it.
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
};

}  // namespace memif::tool
