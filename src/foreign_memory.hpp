// Looking at memory files of other processes, through /proc. docs/observing.md, "Who can look".
#pragma once

#include <functional>
#include <string_view>
#include <sys/types.h>

#include <memif/error.hpp>
#include <memif/fd.hpp>
#include <memif/stats.hpp>

namespace memif::detail {

// Calls `found` with each descriptor of a process that is a memory file made under `name`; ends when it returns false.
// Errors: ESRCH, EACCES.
Status each_memory_file(pid_t pid, std::string_view name, const std::function<bool(int fd)>& found);

// Opens descriptor `fd` of a process for reading, if it is an ordinary memory file (memfd). Whatever else it is, it is
// not touched: opening, or only asking about, somebody's device, pipe or network file can block or have effects. No
// error names the process; `owner` is told who made the file.
Result<Fd> open_memory_file(pid_t pid, int fd, uid_t& owner);

// User and group that a process runs as; its pid as given. Error: ESRCH.
Result<Credentials> credentials_of(pid_t pid);

// What a process calls itself, in the innermost of its pid namespaces; 0 if it is gone.
pid_t innermost_pid(pid_t pid);

}  // namespace memif::detail
