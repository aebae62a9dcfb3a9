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
  SharedFd(Fd fd, uid_t user = deferred::nobody, deferred::Closing what = deferred::Closing::whatever) noexcept
      : fd_(fd.release()), user_(user), what_(what) {}
  SharedFd(SharedFd&& other) noexcept : fd_(other.release()), user_(other.user_), what_(other.what_) {}
  SharedFd& operator=(SharedFd&& other) noexcept {
    if (this == &other) return *this;
    reset();
    user_ = other.user_;
    what_ = other.what_;
    fd_ = other.release();
    return *this;
  }
  ~SharedFd() { reset(); }

  int get() const noexcept { return fd_; }
  uid_t user() const noexcept { return user_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    if (fd_ >= 0) deferred::close(release(), user_, what_);
  }

 private:
  int fd_ = -1;
  uid_t user_ = deferred::nobody;
  deferred::Closing what_ = deferred::Closing::whatever;
};

}  // namespace memif
