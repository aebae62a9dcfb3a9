#include "stop.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>

namespace memif::tool {
namespace {

// Both are lock-free, so a signal handler may touch them.
std::atomic<bool> stop_requested{false};
std::atomic<Context*> sleeper{nullptr};

void handle(int) {
  const int saved = errno;
  stop_requested = true;
  if (Context* context = sleeper.load()) context->wake();
  errno = saved;
}

void install(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second signal finds the default action
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

StopSignals::StopSignals(Context& context) {
  sleeper = &context;
  install(SIGINT, handle);
  install(SIGTERM, handle);
}

StopSignals::~StopSignals() {
  install(SIGINT, SIG_DFL);
  install(SIGTERM, SIG_DFL);
  sleeper = nullptr;
}

bool StopSignals::requested() noexcept { return stop_requested; }

}  // namespace memif::tool
