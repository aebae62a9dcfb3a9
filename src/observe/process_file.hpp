// Looking at memory files of other processes, through /proc. docs/observing.md, "Who can look".
#pragma once

#include <functional>
#include <string_view>
#include <sys/types.h>

#include <memif/error.hpp>
#include <memif/fd.hpp>
#include <memif/stats.hpp>

namespace memif::detail {

// A memory file (memfd) of a process, open for reading.
class ProcessFile {
 public:
  // A publication of this process's own is looked at through the descriptor that it has: closing another of the same
  // file would undo the lock by which it is recognised. All else is opened, since its owner may close it meanwhile.
  enum class Kind { publication, region };

  // Whatever else the descriptor is, it is not touched: opening, or only asking about, somebody's device, pipe or
  // network file can block or have effects. No error names the process.
  static Result<ProcessFile> open(pid_t pid, int fd, Kind kind);

  int get() const noexcept { return own_ ? own_.get() : fd_; }
  int number() const noexcept { return fd_; }  // of the process's descriptor

  // Whether that process has locked the file for writing, by fcntl(F_SETLK) on this descriptor or another. The kernel
  // keeps such a lock with the process that made it: whoever gets the descriptor, by a message or by fork(), has the
  // file and not the lock. It knows that process by its number, which may be another's later.
  bool locked_by_its_process() const;

  // The user whose process made it.
  uid_t owner() const noexcept { return owner_; }

 private:
  ProcessFile(pid_t pid, int fd, uid_t owner) noexcept : pid_(pid), fd_(fd), owner_(owner) {}

  pid_t pid_;
  int fd_;  // of the process
  uid_t owner_;
  Fd own_;
};

// Calls `found` with each descriptor of a process that is a memory file made under `name`, and `go_on` now and then;
// ends when one of them returns false. Errors: ESRCH, EACCES.
Status each_memory_file(pid_t pid, std::string_view name, const std::function<bool(int fd)>& found,
                        const std::function<bool()>& go_on);

// User and group that a process belongs to (the real ones); its pid as given. Error: ESRCH.
Result<Credentials> credentials_of(pid_t pid);

}  // namespace memif::detail
