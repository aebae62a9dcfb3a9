// Being in another network namespace for a while.
#pragma once

#include <string>

#include <memif/fd.hpp>

namespace memif::tool {

// A network namespace by its name ("ip netns add NAME"). An invalid Fd for an empty name. Throws Failure.
Fd open_netns(const std::string& name);

// Moves the calling thread into `target` until the end of the scope; does nothing for an invalid Fd. Throws Failure.
class NetnsScope {
 public:
  explicit NetnsScope(const Fd& target);
  ~NetnsScope();
  NetnsScope(const NetnsScope&) = delete;
  NetnsScope& operator=(const NetnsScope&) = delete;

 private:
  Fd home_;
};

}  // namespace memif::tool
