#include "observe/process_file.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace memif::detail {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::string process_path(pid_t pid, std::string_view rest) {
  return "/proc/" + std::to_string(pid) + std::string(rest);
}

// Without asking whoever serves the file: the answer of a file system in user space can take forever.
bool stat_quietly(int fd, struct statx& status) {
  return ::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO | STATX_UID, &status) == 0;
}

// All memory files lie in one file system of the kernel's, which has a number as all file systems have.
bool is_memory_file(const struct statx& status) {
  static const struct Sample {
    bool known = false;
    struct statx status {};
    Sample() {
      const Fd file(::memfd_create("memif sample", MFD_CLOEXEC));
      known = file && stat_quietly(file.get(), status);
    }
  } sample;
  return sample.known && S_ISREG(status.stx_mode) && status.stx_dev_major == sample.status.stx_dev_major &&
         status.stx_dev_minor == sample.status.stx_dev_minor;
}

// Whether /proc calls this process so.
bool is_this_process(pid_t pid) {
  std::array<char, 16> self;
  const ssize_t length = ::readlink("/proc/self", self.data(), self.size());
  return length > 0 && std::string_view(self.data(), static_cast<std::size_t>(length)) == std::to_string(pid);
}

// "lock:\t1: POSIX  ADVISORY  WRITE 20031 00:01:1025 0 EOF": of the inode `inode`.
bool is_write_lock(const std::string& line, std::uint64_t inode) {
  unsigned long locked = 0;
  return std::sscanf(line.c_str(), "lock: %*d: POSIX ADVISORY WRITE %*d %*x:%*x:%lu", &locked) == 1 && locked == inode;
}

// Asking for the lock would not tell: a process's own are in nobody's way. These are the locks of its own table of
// descriptors, not those of the file. Only of this process: of another, the number may have become another file's by
// now, such as one whose owner can make reading this wait forever.
bool locked_by_this_process(int fd) {
  struct statx status {};
  if (!stat_quietly(fd, status)) return false;
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
  for (std::string line; std::getline(info, line);)
    if (is_write_lock(line, status.stx_ino)) return true;
  return false;
}

}  // namespace

Result<ProcessFile> ProcessFile::open(pid_t pid, int fd, Kind kind) {
  // O_PATH opens nothing, and holds on to the file that was looked at.
  const Fd handle(::open(process_path(pid, "/fd/" + std::to_string(fd)).c_str(), O_PATH | O_CLOEXEC));
  if (!handle) return system_error(errno, "a descriptor of another process");
  struct statx status {};
  if (!stat_quietly(handle.get(), status) || !is_memory_file(status))
    return Error{Errc::bad_region, "the descriptor of another process is not a memory file"};
  ProcessFile file(pid, fd, status.stx_uid);
  if (kind == Kind::publication && is_this_process(pid)) return file;
  const std::string path = "/proc/self/fd/" + std::to_string(handle.get());
  file.own_ = Fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));  // else a lease would make it wait
  if (!file.own_) return system_error(errno, "a memory file of another process");
  return file;
}

bool ProcessFile::locked_by_its_process() const {
  if (!own_) return locked_by_this_process(fd_);
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  return ::fcntl(own_.get(), F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid == pid_;
}

Status each_memory_file(pid_t pid, std::string_view name, const std::function<bool(int)>& found,
                        const std::function<bool()>& go_on) {
  constexpr unsigned now_and_then = 64;
  const std::string link = "/memfd:" + std::string(name) + " (deleted)";
  const Directory directory(::opendir(process_path(pid, "/fd").c_str()));
  if (directory == nullptr) return system_error(errno == ENOENT ? ESRCH : errno, "process " + std::to_string(pid));
  std::array<char, 64> target;
  unsigned seen = 0;
  while (const dirent* const entry = ::readdir(directory.get())) {
    if (++seen % now_and_then == 0 && !go_on()) break;
    const ssize_t length = ::readlinkat(::dirfd(directory.get()), entry->d_name, target.data(), target.size());
    if (length < 0 || std::string_view(target.data(), static_cast<std::size_t>(length)) != link) continue;
    int fd = -1;
    const std::string_view number = entry->d_name;
    std::from_chars(number.data(), number.data() + number.size(), fd);
    if (!found(fd)) break;
  }
  return Nothing{};
}

// A program that runs with more rights than its user has, as `su` does, is still its user's.
Result<Credentials> credentials_of(pid_t pid) {
  std::ifstream status(process_path(pid, "/status"));
  Credentials result{.pid = pid, .uid = 0, .gid = 0};
  int found = 0;
  for (std::string line; found != 2 && std::getline(status, line);)
    found += std::sscanf(line.c_str(), "Uid: %u", &result.uid) + std::sscanf(line.c_str(), "Gid: %u", &result.gid);
  if (found != 2) return system_error(ESRCH, "process " + std::to_string(pid));
  return result;
}

}  // namespace memif::detail
