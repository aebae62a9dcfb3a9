// Processes that a test starts, and that never outlive it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace memif::stress {

class Child {
 public:
  // Starts stress_peer with these arguments. It dies with the thread that started it.
  explicit Child(const std::vector<std::string>& arguments);
  ~Child() { kill(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // SIGKILL, and the end of it. No effect when it has ended.
  void kill() noexcept;
  // The signal only.
  void signal_kill() const noexcept;

  // Its exit code (128 and more: a signal), or nothing when it still runs after `patience`.
  std::optional<int> wait(std::chrono::seconds patience);

 private:
  pid_t pid_ = -1;
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

// A number from the environment, or `otherwise` (`slow` in a build with sanitizers).
std::uint64_t amount(const char* variable, std::uint64_t otherwise, std::uint64_t slow);

}  // namespace memif::stress
