// The hooks by which a context lives in the user's own event loop.
#pragma once

#include <chrono>
#include <optional>

#include <memif/error.hpp>

namespace memif {

using Clock = std::chrono::steady_clock;

inline constexpr unsigned event_read = 1;
inline constexpr unsigned event_write = 2;

// Implemented by the user to drive a context from a loop that exists already (epoll, libuv, asio, ...). All calls are
// made on the control thread. When a watched descriptor is ready (readable, writable, or in error) call
// Context::handle(fd); when the timer's time has come, call Context::handle_timer(). Both tolerate being called for
// nothing, so events may be level- or edge-triggered, late, or duplicated.
class EventLoop {
 public:
  virtual ~EventLoop() = default;

  // Start watching `fd` for `events` (event_read | event_write; errors and hang-ups always).
  virtual Status add(int fd, unsigned events) = 0;

  // Watch an already added descriptor for other events. 0 keeps it known but quiet.
  virtual Status change(int fd, unsigned events) = 0;

  // Stop watching. Always called before memifpp closes the descriptor.
  virtual void remove(int fd) noexcept = 0;

  // One timer: replaces the time set before; nullopt disarms it.
  virtual void set_timer(std::optional<Clock::time_point> when) noexcept = 0;
};

}  // namespace memif
