#include "common/stop.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

namespace memif::tool {
namespace {

constexpr std::array stops{SIGINT, SIGTERM, SIGHUP};
constexpr std::array deaths{SIGQUIT, SIGABRT, SIGSEGV, SIGBUS,  SIGILL,    SIGFPE,  SIGSYS,
                            SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU, SIGVTALRM, SIGPROF, SIGPWR};

// All are lock-free, so a signal handler may touch them.
std::atomic<bool> stop_requested{false};
std::atomic<Context*> sleeper{nullptr};
std::atomic<void (*)()> last_act{nullptr};

void install(int signal, void (*handler)(int)) {
  struct sigaction now {};
  if (::sigaction(signal, nullptr, &now) == 0 && signal == SIGHUP && now.sa_handler == SIG_IGN) return;
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second signal finds the default action
  ::sigaction(signal, &action, nullptr);
}

void die(int signal) {
  if (const auto act = last_act.exchange(nullptr)) act();
  ::raise(signal);  // as soon as this returns: with the default action
}

void handle(int signal) {
  const int saved = errno;
  stop_requested = true;
  if (last_act.load() != nullptr) install(signal, die);
  if (Context* context = sleeper.load()) context->wake();
  errno = saved;
}

}  // namespace

StopSignals::StopSignals(Context& context) {
  sleeper = &context;
  for (const int signal : stops) install(signal, handle);
}

StopSignals::~StopSignals() {
  for (const int signal : stops) install(signal, SIG_DFL);
  sleeper = nullptr;
}

bool StopSignals::requested() noexcept { return stop_requested; }

void StopSignals::before_death(void (*act)()) noexcept {
  last_act = act;
  for (const int signal : deaths) install(signal, die);
}

}  // namespace memif::tool
