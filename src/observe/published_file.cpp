#include "observe/published_file.hpp"

#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memif/config.hpp>
#include <memif/detail/wire.hpp>

namespace memif::detail {

using namespace published;

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

Error damaged(const std::string& why) { return {Errc::bad_region, "what the program publishes cannot be: " + why}; }

constexpr std::size_t longest_page = 65536;  // files are as long as whole pages

Result<std::size_t> published_size(const ProcessFile& file) {
  struct stat status {};
  const int seals = ::fcntl(file.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(file.get(), &status) != 0)
    return damaged("its memory file could shrink");
  constexpr Layout smallest(1, 1), largest(wire::max_rings, wire::max_rings);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size < smallest.size) return damaged("it is too short");
  if (size > largest.size + longest_page) return damaged("it is too long");
  return size;
}

bool read_at(const ProcessFile& file, void* to, std::size_t size, std::uint64_t at) {
  return ::pread(file.get(), to, size, static_cast<off_t>(at)) == static_cast<ssize_t>(size);
}

bool read_between_changes(const ProcessFile& file, PublishedCopy& copy, nanoseconds& patience) {
  // A change takes microseconds, and more if its thread loses the processor meanwhile: then it is given time and turns
  // to come back, while there is patience.
  constexpr int turns = 4;  // also without
  const auto began = std::chrono::steady_clock::now();
  nanoseconds waited = 0ns;
  bool whole = false;
  for (int turn = 0; !whole && (turn < turns || waited < patience); ++turn) {
    if (turn != 0 && waited < patience) ::sched_yield();
    std::uint64_t before = 1, after = 1;
    if (!read_at(file, &before, sizeof before, sizeof(Identity))) break;
    // The fences pair with the publisher's releases: docs/observing.md, "Layout".
    std::atomic_thread_fence(std::memory_order_acquire);
    if (before % 2 == 0) {
      if (!copy.read(file)) break;
      std::atomic_thread_fence(std::memory_order_acquire);
      whole = read_at(file, &after, sizeof after, sizeof(Identity)) && before == after;
    }
    waited = std::chrono::steady_clock::now() - began;
  }
  patience -= std::min(patience, waited);
  return whole;
}

Error out_of_range() { return damaged("a role, a mode or a number of queues is out of range"); }

Result<bool> read_identity(const ProcessFile& file, Identity& identity) {
  if (!read_at(file, &identity, sizeof identity, 0)) return damaged("it cannot be read");
  if (identity.magic != published::magic) return false;
  if (identity.version != published::version)
    return damaged("its layout is version " + std::to_string(identity.version) + ", and only " +
                   std::to_string(published::version) + " is known here");
  if (identity.role > static_cast<int>(Role::server) || identity.mode > static_cast<int>(Mode::punt_inject) ||
      identity.rx_queues > wire::max_rings || identity.tx_queues > wire::max_rings)
    return out_of_range();
  return true;
}

bool may_be_of(const Credentials& program, uid_t owner) { return owner == program.uid || owner == 0; }

}  // namespace memif::detail
