#include "resources.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <malloc.h>
#include <string>
#include <thread>

// Present when AddressSanitizer is: its heap does not show in mallinfo2().
extern "C" [[gnu::weak]] std::size_t __sanitizer_get_current_allocated_bytes();

// Present when the library is: src/base/deferred.hpp.
namespace memif::deferred {
[[gnu::weak]] std::size_t outstanding() noexcept;
}

namespace memif::test {
namespace {

template <class Which>
std::size_t count_mappings(Which which) {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) count += which(line) ? 1 : 0;
  return count;
}

// Such as the stacks of threads that have ended, which the C library keeps for the next.
bool is_nameless_private(const std::string& line) {
  return line.find("p 00000000 00:00 0") != std::string::npos && line.find('[') == std::string::npos;
}

// Inside of a C library that cannot be asked: whether one of its threads is at it, or has been woken for it.
bool is_seen_closing() {
  std::error_code gone;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", gone)) {
    std::string text;
    std::getline(std::ifstream(task.path() / "stat"), text);
    const bool sleeps = text.find(") S") != std::string::npos;
    if (text.find("(memif-close)") != std::string::npos || (!sleeps && text.find("(memif-idle)") != std::string::npos))
      return true;
  }
  return false;
}

}  // namespace

bool is_closing() {
  if (deferred::outstanding != nullptr) return deferred::outstanding() != 0;
  // A thread that takes its turn may look asleep for a moment.
  for (int look = 0; look < 3; ++look) {
    if (is_seen_closing()) return true;
    std::this_thread::yield();
  }
  return false;
}

namespace {

// The library has closed what it was about to, or it takes very long.
void settle() {
  using namespace std::chrono_literals;
  for (const auto end = std::chrono::steady_clock::now() + 10s; is_closing() && std::chrono::steady_clock::now() < end;)
    std::this_thread::sleep_for(1ms);
}

}  // namespace

std::size_t threads_named(std::string_view name) {
  std::size_t count = 0;
  std::error_code gone;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", gone)) {
    std::string its;
    std::ifstream(task.path() / "comm") >> its;
    count += its == name ? 1 : 0;
  }
  return count;
}

pid_t thread_named(std::string_view name) {
  std::error_code gone;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", gone)) {
    std::string its;
    std::ifstream(task.path() / "comm") >> its;
    if (its == name) return std::stoi(task.path().filename());
  }
  return -1;
}

std::size_t open_descriptors() {
  settle();
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

std::size_t shared_mappings() {
  settle();
  return count_mappings([](const std::string& line) { return line.find("/memfd:") != std::string::npos; });
}

Resources resources() {
  Resources now{.descriptors = open_descriptors(),
                .mappings = count_mappings([](const std::string& line) { return !is_nameless_private(line); })};
  now.heap = __sanitizer_get_current_allocated_bytes != nullptr ? __sanitizer_get_current_allocated_bytes()
                                                                : ::mallinfo2().uordblks;
  return now;
}

std::size_t heap_noise() { return __sanitizer_get_current_allocated_bytes != nullptr ? 2048 : 8192; }

}  // namespace memif::test
