#include "foreign_memory.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
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

// Without asking whoever serves the file: the answer of a file system in user space can take for ever.
bool stat_quietly(int fd, struct statx& status) {
  return ::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_UID, &status) == 0;
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

}  // namespace

Status each_memory_file(pid_t pid, std::string_view name, const std::function<bool(int)>& found) {
  const std::string link = "/memfd:" + std::string(name) + " (deleted)";
  const Directory directory(::opendir(process_path(pid, "/fd").c_str()));
  if (directory == nullptr) return system_error(errno == ENOENT ? ESRCH : errno, "process " + std::to_string(pid));
  std::array<char, 64> target;
  while (const dirent* const entry = ::readdir(directory.get())) {
    const ssize_t length = ::readlinkat(::dirfd(directory.get()), entry->d_name, target.data(), target.size());
    if (length < 0 || std::string_view(target.data(), static_cast<std::size_t>(length)) != link) continue;
    int fd = -1;
    const std::string_view number = entry->d_name;
    std::from_chars(number.data(), number.data() + number.size(), fd);
    if (!found(fd)) break;
  }
  return Nothing{};
}

Result<Fd> open_memory_file(pid_t pid, int fd, uid_t& owner) {
  // O_PATH opens nothing, and holds on to the file that was looked at.
  const Fd handle(::open(process_path(pid, "/fd/" + std::to_string(fd)).c_str(), O_PATH | O_CLOEXEC));
  if (!handle) return system_error(errno, "a descriptor of another process");
  struct statx status {};
  if (!stat_quietly(handle.get(), status) || !is_memory_file(status))
    return Error{Errc::bad_region, "the descriptor of another process is not a memory file"};
  owner = status.stx_uid;
  const std::string path = "/proc/self/fd/" + std::to_string(handle.get());
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return system_error(errno, "a memory file of another process");
  return file;
}

Result<Credentials> credentials_of(pid_t pid) {
  struct stat status {};
  if (::stat(process_path(pid, "").c_str(), &status) != 0)
    return system_error(errno == ENOENT ? ESRCH : errno, "process " + std::to_string(pid));
  return Credentials{.pid = pid, .uid = status.st_uid, .gid = status.st_gid};
}

pid_t innermost_pid(pid_t pid) {
  std::ifstream file(process_path(pid, "/status"));
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("NSpid:")) return static_cast<pid_t>(std::atol(line.c_str() + line.rfind('\t') + 1));
  return 0;
}

}  // namespace memif::detail
