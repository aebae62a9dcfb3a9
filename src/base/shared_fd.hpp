// A file descriptor that another process has or had, too: deferred.hpp closes it.
#pragma once

#include <utility>

#include <memif/fd.hpp>

#include "base/deferred.hpp"

namespace memif {

// Owns it, as Fd owns what is ours alone. Move-only.
class SharedFd {
 public:
  SharedFd() noexcept = default;
  // `user`: whose processes have it.
  SharedFd(Fd fd, uid_t user = deferred::nobody, deferred::Kind kind = deferred::Kind::strange) noexcept
      : fd_(fd.release()), user_(user), place_(fd_ >= 0 ? deferred::Place(kind) : deferred::Place()) {}
  SharedFd(SharedFd&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), user_(other.user_), place_(std::move(other.place_)) {}
  SharedFd& operator=(SharedFd&& other) noexcept {
    if (this == &other) return *this;
    reset();
    fd_ = std::exchange(other.fd_, -1);
    user_ = other.user_;
    place_ = std::move(other.place_);
    return *this;
  }
  ~SharedFd() { reset(); }

  int get() const noexcept { return fd_; }
  uid_t user() const noexcept { return user_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  // Where it waits to be closed has room for it.
  bool has_place() const noexcept { return static_cast<bool>(place_); }
  [[nodiscard]] int release() noexcept {
    place_ = {};
    return std::exchange(fd_, -1);
  }
  void reset() noexcept {
    if (fd_ >= 0) deferred::close(std::exchange(fd_, -1), user_, std::move(place_));
  }

 private:
  int fd_ = -1;
  uid_t user_ = deferred::nobody;
  deferred::Place place_;
};

}  // namespace memif
