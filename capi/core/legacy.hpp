// What generations 2, 2.1 and 3 share: the process's one instance, instances that may not be there, and a fixed timer.
#pragma once

#include <atomic>
#include <string_view>
#include <type_traits>

#include "generation.hpp"
#include "instance.hpp"

namespace memif::capi {

// Of memif_init. Cancelling happens in signal handlers.
inline std::atomic<Instance*> global{nullptr};

// Calls the program's memif_control_fd_update_t, which has a context from generation 3 on.
template <class Update>
int tell(const Instance& instance, int fd, unsigned events, void*) {
  const auto update = reinterpret_cast<Update*>(instance.callback());
  if constexpr (std::is_invocable_v<Update, int, std::uint8_t, void*>)
    return update(fd, static_cast<std::uint8_t>(events), instance.program_context());
  else
    return update(fd, static_cast<std::uint8_t>(events));
}

template <class Update>
Instance::Setup make_setup(const Generation& generation, Update* update, const char* app_name, const Memory& memory) {
  Instance::Setup setup;
  setup.memory = memory;
  setup.tell = update != nullptr ? tell<Update> : nullptr;
  setup.callback = reinterpret_cast<Instance::Function>(update);
  setup.app_name = app_name != nullptr && *app_name != '\0' ? app_name : "libmemif-app";  // MEMIF_DEFAULT_APP_NAME
  setup.requests = {.it_interval = {.tv_sec = 2, .tv_nsec = 0}, .it_value = {.tv_sec = 2, .tv_nsec = 0}};
  setup.interrupt_results = generation.interrupt_results;
  return setup;
}

inline Code init_global(const Instance::Setup& setup) noexcept {
  if (global != nullptr) return Code::already;
  Instance* made = nullptr;
  const Code code = Instance::create(made, setup);
  if (code == Code::success) global = made;
  return code;
}

inline Code handle_event(Instance* instance, int fd) noexcept {
  if (instance == nullptr) return Code::inval_arg;
  return fd >= 0 ? static_cast<Code>(instance->handle(fd)) : Code::bad_fd;
}

inline Code poll(Instance* instance, int timeout) {
  return instance != nullptr ? static_cast<Code>(instance->poll(timeout)) : Code::inval_arg;
}

// A program that polls by itself has nothing to cancel.
inline Code cancel(Instance* instance) noexcept {
  if (instance == nullptr) return Code::inval_arg;
  return instance->polls() ? instance->cancel() : Code::success;
}

inline Code set_request_timer(Instance* instance, const itimerspec& timer) noexcept {
  return instance != nullptr ? instance->set_request_timer(timer) : Code::inval_arg;
}

inline void register_external_region(Instance* instance, const RegionCallbacks& callbacks) noexcept {
  if (instance != nullptr) instance->set_regions(callbacks);
}

}  // namespace memif::capi
