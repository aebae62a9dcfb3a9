// Interrupts: one eventfd a ring. docs/protocol.md, "Interrupts".
//
// The peer holds the same open file: it can clear O_NONBLOCK and fill the counter at any moment, also between two of
// our system calls. So nothing here rests on O_NONBLOCK or on the counter's value.
#pragma once

#include <memif/error.hpp>
#include <memif/fd.hpp>

#include "base/shared_fd.hpp"

namespace memif {

// A new eventfd: counter 0, non-blocking, close-on-exec.
Result<Fd> make_interrupt();

// Takes a descriptor that a peer sent, if it is an eventfd; else Errc::not_an_eventfd. The descriptor itself is never
// read or written to find out.
Result<SharedFd> adopt_interrupt(SharedFd fd);

// Wakes whoever waits for `fd`, which must have come from one of the above; `user`: whose process that is. Never
// blocks: where asynchronous I/O is not to be had, a thread writes (deferred.hpp). From any thread.
void signal_interrupt(int fd, uid_t user = deferred::nobody) noexcept;

// Takes all notifications; true: there was one. Never blocks. From any thread.
bool drain_interrupt(int fd) noexcept;

}  // namespace memif
