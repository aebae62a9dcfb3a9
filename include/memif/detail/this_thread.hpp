// Which thread this is, in one instruction.
#pragma once

namespace memif::detail {

// Tells threads apart that live at the same time. Never null.
inline const void* this_thread() noexcept {
#if defined(__x86_64__)
  const void* self;
  asm("mov %%fs:0, %0" : "=r"(self));  // the thread pointer, as the ABI has it
  return self;
#else
  static thread_local char self;
  return &self;
#endif
}

inline bool is_this_thread(const void* thread) noexcept {
#if defined(__x86_64__)
  bool same;
  asm("cmp %%fs:0, %1" : "=@cce"(same) : "r"(thread));
  return same;
#else
  return thread == this_thread();
#endif
}

}  // namespace memif::detail
