// System calls that can wait for another process, made by threads that have nothing else to do. docs/architecture.md,
// "Threads".
//
// Whoever has, or had, the same file can make close() wait: a TCP socket with SO_LINGER waits until its data has gone,
// a file of a file system in user space until its daemon answers, which may be never. An eventfd waits for the lock of
// each epoll set that it is in, whoever's that is. Nothing tells beforehand. Likewise a write to an eventfd: the
// process at the other end can make its file blocking, and its counter full. Whoever is the last to close or unmap a
// memory file frees all of its pages, a fifth of a second for a GiB, and the file may be longer than what is mapped.
//
// Threads are started as they are needed and end when there is nothing to do. Those that wait are limited, for each
// user whose processes they wait for and in all; what cannot be done yet stays in a table of fixed size. Nothing here
// asks for memory of the heap's, waits or throws. From any thread.
#pragma once

#include <cstddef>
#include <sys/types.h>

namespace memif::deferred {

// Where it is not known whose processes have a descriptor.
inline constexpr uid_t nobody = static_cast<uid_t>(-1);

enum class Closing {
  whatever,  // nothing is known of it
  eventfd,   // an eventfd
};

// Closes `fd`, which a process of `user` has or had too. It is not to be used any more.
void close(int fd, uid_t user, Closing what) noexcept;

// Adds one to an eventfd's counter. Signals that no thread has come to yet are one. `fd` is to be closed by close().
void signal(int fd, uid_t user) noexcept;

// Undoes a mapping of a file that a process of `user` has or had.
void unmap(void* address, std::size_t size, uid_t user) noexcept;

// How many are not closed or unmapped yet.
std::size_t outstanding() noexcept;

// So much of this user's is still being closed that no more descriptors are to be taken from it.
bool overloaded(uid_t user) noexcept;

// So much is still being closed, whoever's it is, that no more connections are to be taken.
bool full() noexcept;

}  // namespace memif::deferred
