// The interface to an event loop of the user's own, in which a context can run.
#pragma once

#include <chrono>
#include <optional>

#include <memif/error.hpp>

namespace memif {

using Clock = std::chrono::steady_clock;

inline constexpr unsigned event_read = 1;
inline constexpr unsigned event_write = 2;

// The user implements this to drive a context from an existing loop (epoll, libuv, asio, ...). memifpp makes all calls
// on the control thread. When a watched descriptor is ready (readable, writable, or in error), the loop calls
// Context::handle(fd); when the timer's time has come, it calls Context::handle_timer(). Both may be called for
// nothing, so events may be level- or edge-triggered, late, or duplicated.
class EventLoop {
 public:
  virtual ~EventLoop() = default;

  // Start watching `fd` for `events` (event_read | event_write; errors and hang-ups always). The descriptor stays
  // memifpp's.
  virtual Status add(int fd, unsigned events) = 0;

  // Watch an already added descriptor for other events. 0 keeps it known but quiet.
  virtual Status change(int fd, unsigned events) = 0;

  // Stop watching. Always called before memifpp closes the descriptor.
  virtual void remove(int fd) noexcept = 0;

  // The one timer of the context: `when` replaces the time set before; nullopt disarms the timer.
  virtual void set_timer(std::optional<Clock::time_point> when) noexcept = 0;
};

}  // namespace memif
