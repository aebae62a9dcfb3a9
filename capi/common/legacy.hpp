// What generations 2 and 3 share: instances that may not be there, and a fixed timer.
#pragma once

#include <cstring>
#include <string_view>

#include "instance.hpp"

namespace memif::capi {

inline constexpr itimerspec every_two_seconds{.it_interval = {.tv_sec = 2, .tv_nsec = 0},
                                              .it_value = {.tv_sec = 2, .tv_nsec = 0}};

inline std::string_view name_or_default(const char* name, std::string_view otherwise) {
  return name != nullptr && *name != '\0' ? std::string_view(name) : otherwise;
}

inline int handle_event(Instance* instance, int fd) noexcept {
  if (instance == nullptr) return static_cast<int>(Code::inval_arg);
  if (fd < 0) return static_cast<int>(Code::bad_fd);
  return instance->handle(fd);
}

inline int poll(Instance* instance, int timeout) {
  return instance != nullptr ? instance->poll(timeout) : static_cast<int>(Code::inval_arg);
}

// A program that polls by itself has nothing to cancel.
inline int cancel(Instance* instance) noexcept {
  if (instance == nullptr) return static_cast<int>(Code::inval_arg);
  return static_cast<int>(instance->polls() ? instance->cancel() : Code::success);
}

}  // namespace memif::capi
