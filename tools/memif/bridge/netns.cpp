#include "bridge/netns.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>

#include "common/command.hpp"
#include "common/output.hpp"

namespace memif::tool {

Fd open_netns(const std::string& name) {
  if (name.empty()) return {};
  Fd fd(::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd)
    throw Failure(exit_failed, fmt::format("cannot open network namespace {}: {} (ip netns list shows those there are)",
                                           name, std::strerror(errno)));
  return fd;
}

NetnsScope::NetnsScope(const Fd& target) {
  if (!target) return;
  Fd home(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home || ::setns(target.get(), CLONE_NEWNET) != 0)
    throw Failure(exit_failed, fmt::format("cannot enter the network namespace: {} (needs CAP_SYS_ADMIN: run as root)",
                                           std::strerror(errno)));
  home_ = std::move(home);
}

NetnsScope::~NetnsScope() {
  if (!home_ || ::setns(home_.get(), CLONE_NEWNET) == 0) return;
  complain("cannot return from a network namespace");
  std::abort();  // everything after would happen in the wrong one
}

}  // namespace memif::tool
