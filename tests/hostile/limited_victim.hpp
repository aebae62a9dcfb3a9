// A victim to whom the system allows little: a process of its own, since what it is spared would kill it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <sys/types.h>

#include <memif/memif.hpp>

namespace memif::hostile {

// What the victim has to tell at its end.
struct Report {
  std::uint64_t connects = 0, packets = 0;
  std::uint64_t told = 0;              // how often it has logged LimitedVictim::words
  std::uint64_t longest_resident = 0;  // bytes
  std::uint64_t most_addresses = 0;    // bytes, mapped at one time
  int code = 0;                        // of the last reason, memif's own
  std::array<char, 200> text{};
};

struct LimitedVictim {
  InterfaceConfig config{};
  unsigned interfaces = 1;  // with ids from that of `config` on; the first one's worker and reason are looked at
  std::function<bool()> confine = [] { return true; };  // in the victim, first; false: cannot be done here
  std::function<bool()> confine_later{};                // when the first link is up
  std::string words{};
  // The data thread blocks every signal. It takes its queues over from another one, which has used them on this link.
  bool signals_blocked = false;
};

// Runs the victim, and `attack` in another process. An attack that gives up fails the test, as does a victim that dies
// or that does not end when it is told to. `possible`: whether the victim could be confined.
Report outlive(const LimitedVictim& victim, const std::function<void(const std::string& socket)>& attack,
               bool& possible);

// A memory cgroup of so many bytes, where the machine lets one make it.
class MemoryGroup {
 public:
  explicit MemoryGroup(std::uint64_t bytes);
  ~MemoryGroup();
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  bool made() const { return !directory_.empty(); }
  bool enter() const;  // the calling process

 private:
  std::string directory_;
};

}  // namespace memif::hostile
