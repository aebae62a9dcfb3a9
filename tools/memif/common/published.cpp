#include "common/published.hpp"

#include <fmt/format.h>
#include <utility>

#include "common/command.hpp"

namespace memif::tool {

Observation published_by(pid_t pid) {
  auto seen = observe(pid);
  if (!seen) {
    const bool denied = seen.error().code == std::errc::permission_denied;
    throw Failure(
        denied ? exit_failed : exit_no_peer,
        denied ? seen.error().message + " (only its own user and root can observe it)" : seen.error().message);
  }
  if (seen->interfaces.empty() && seen->why) throw Failure(exit_no_peer, seen->why->message);
  if (seen->interfaces.empty())
    throw Failure(exit_no_peer,
                  fmt::format("process {} publishes no interface (programs of the C API and this command publish when "
                              "they are started with MEMIF_PUBLISH=1)",
                              pid));
  return std::move(*seen);
}

}  // namespace memif::tool
