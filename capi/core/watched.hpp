// The descriptors of an instance that somebody watches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory.hpp"

namespace memif::capi {

class Connection;
class Instance;

// Once made it lives as long as its instance, so that an event that comes late finds it, or finds what has taken its
// place: both bear events for nothing.
struct Watched {
  Instance* owner = nullptr;
  int fd = -1;
  Connection* connection = nullptr;  // of a receive queue
  std::uint16_t queue = 0;
};

// By descriptor. What is not watched any more is kept for what will be.
class WatchedTable {
 public:
  explicit WatchedTable(const Memory& memory) noexcept : memory_(memory), by_fd_(memory), spare_(memory) {}
  ~WatchedTable() {
    while (spare_.size() != 0) memory_.destroy(spare_.pop_back());
  }
  WatchedTable(const WatchedTable&) = delete;
  WatchedTable& operator=(const WatchedTable&) = delete;

  Watched* find(int fd) const noexcept {
    const auto index = static_cast<std::size_t>(fd);
    return fd >= 0 && index < by_fd_.size() ? by_fd_[index] : nullptr;
  }

  Watched& add(const Watched& what) {
    if (spare_.size() == 0) {
      spare_.reserve(made_ + 1);  // so that all can come back
      spare_.push_back(memory_.make<Watched>());
      ++made_;
    }
    const auto index = static_cast<std::size_t>(what.fd);
    by_fd_.reserve(index + 1);
    while (by_fd_.size() <= index) by_fd_.push_back(nullptr);
    by_fd_[index] = spare_.pop_back();
    *by_fd_[index] = what;
    return *by_fd_[index];
  }

  void remove(Watched& watched) noexcept {
    by_fd_[static_cast<std::size_t>(watched.fd)] = nullptr;
    watched.fd = -1;
    watched.connection = nullptr;
    spare_.push_back(&watched);
  }

 private:
  const Memory& memory_;
  Pointers<Watched> by_fd_;
  Pointers<Watched> spare_;
  std::size_t made_ = 0;  // in either
};

}  // namespace memif::capi
