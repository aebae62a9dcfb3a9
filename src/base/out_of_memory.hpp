// What is done where there is no memory: what must not fail, without asking for any.
#pragma once

#include <cerrno>
#include <new>
#include <system_error>

#include <memif/error.hpp>

namespace memif {

// Short enough for a string without memory of its own.
inline constexpr const char* out_of_memory_words = "out of memory";

inline Error out_of_memory() noexcept { return {{ENOMEM, std::system_category()}, out_of_memory_words}; }

// A copy; where there is no memory for its words, without them.
inline Reason copy_of(const Reason& reason) noexcept {
  try {
    return reason;
  } catch (const std::bad_alloc&) {
    return {reason.code, reason.from_peer, out_of_memory_words};
  }
}

}  // namespace memif
