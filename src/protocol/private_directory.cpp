#include "protocol/private_directory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/address.hpp"

namespace memif {
namespace {

constexpr int attempts = 16;

// Guessed right by somebody, it costs an attempt.
std::uint32_t random_number() noexcept {
  std::uint32_t number = 0;
  if (::getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
    number = static_cast<std::uint32_t>(::getpid()) * 2654435761u;
  return number;
}

}  // namespace

// The first name to be tried is always the same, so that what killed processes leave does not add up.
PrivateDirectory PrivateDirectory::make(int parent, const std::string& name) noexcept {
  for (int attempt = 0; attempt < attempts; ++attempt) {
    PrivateDirectory made;
    const std::size_t shown = std::min(name.size(), made.file_.size() - 1);
    std::copy(name.end() - static_cast<std::ptrdiff_t>(shown), name.end(), made.file_.begin());
    if (attempt == 0)
      std::snprintf(made.name_.data(), made.name_.size(), ".%s.memif", name.c_str());
    else
      std::snprintf(made.name_.data(), made.name_.size(), ".%s.memif-%08x", name.c_str(), random_number());
    const bool fresh = ::mkdirat(parent, made.name_.data(), 0700) == 0;
    if (!fresh && errno != EEXIST) return {};
    switch (made.enter(parent)) {
      case Entry::mine:
        if (made.empty_out()) return made;
        made.keep();
        break;
      case Entry::in_use:
        break;
      case Entry::refused:
        if (!fresh || errno == ENOENT) break;  // another process has used and removed it meanwhile
        const int error = errno;
        ::unlinkat(parent, made.name_.data(), AT_REMOVEDIR);
        errno = error;
        return {};
    }
  }
  errno = EBUSY;
  return {};
}

// Whoever may write in `parent` may have put another directory in its place, or one with that name before us.
PrivateDirectory::Entry PrivateDirectory::enter(int parent) noexcept {
  Fd fd(::openat(parent, name_.data(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!fd || ::fstat(fd.get(), &status) != 0) return Entry::refused;
  if (status.st_uid != ::geteuid() || (status.st_mode & 077u) != 0) {
    errno = EPERM;
    return Entry::refused;
  }
  // Only another process of this user can have locked it. Some file systems have no locks.
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return Entry::in_use;
  const FileIdentity now = identify(parent, name_.data());
  if (now.device != status.st_dev || now.inode != status.st_ino) return Entry::in_use;  // removed by its last user
  parent_ = parent;
  fd_ = std::move(fd);
  return Entry::mine;
}

// A killed process leaves a socket of its own, or one that it was about to remove. One that lives is in a directory of
// another program's, to which somebody has given this name.
bool PrivateDirectory::empty_out() noexcept {
  const FileIdentity left = identify(fd_.get(), file_.data());
  if (left.inode == 0) return true;
  return S_ISSOCK(left.mode) && is_leftover(fd_.get(), file_.data()) && ::unlinkat(fd_.get(), file_.data(), 0) == 0;
}

bool PrivateDirectory::give(int directory, const char* name) noexcept {
  if (::renameat2(fd_.get(), file_.data(), directory, name, RENAME_NOREPLACE) == 0) return true;
  // Not every file system can do that. All can do this, but not every process may.
  if ((errno != EINVAL && errno != ENOSYS) || ::linkat(fd_.get(), file_.data(), directory, name, 0) != 0) return false;
  ::unlinkat(fd_.get(), file_.data(), 0);
  return true;
}

// What is not empty stays.
PrivateDirectory::~PrivateDirectory() {
  if (!fd_) return;
  if (!keep_) ::unlinkat(fd_.get(), file_.data(), 0);
  ::unlinkat(parent_, name_.data(), AT_REMOVEDIR);
}

FileIdentity identify(int directory, const char* name) noexcept {
  struct stat status;
  if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
  return {status.st_dev, status.st_ino, status.st_mode};
}

}  // namespace memif
