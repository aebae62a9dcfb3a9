#include <cerrno>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memif/detail/bell.hpp>

namespace memif::detail {

Bell::~Bell() {
  if (const int fd = fd_.load(std::memory_order_relaxed); fd >= 0) ::close(fd);
}

bool Bell::make() noexcept {
  int none = fd();
  if (none >= 0) return true;
  const int made = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (made < 0) return false;
  if (!fd_.compare_exchange_strong(none, made, std::memory_order_seq_cst)) ::close(made);  // another thread was first
  return true;
}

void Bell::ring() noexcept {
  const int fd = this->fd();
  if (fd < 0) return;
  const int error = errno;
  rings_.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = ::write(fd, &one, sizeof one);  // the counter never comes near its end
  errno = error;
}

void Bell::hear() noexcept {
  std::uint64_t rings = 0;
  if (::read(fd(), &rings, sizeof rings) == sizeof rings) heard_ += static_cast<std::uint32_t>(rings);
}

}  // namespace memif::detail
