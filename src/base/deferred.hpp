// System calls that can wait for another process, made by threads that have nothing else to do. docs/architecture.md,
// "Threads".
//
// Whoever has, or had, the same file can make close() wait: a TCP socket with SO_LINGER waits until its data has gone,
// a file of a file system in user space until its daemon answers, which may be never. An eventfd waits for the lock of
// each epoll set that it is in, whoever's that is. Nothing tells beforehand. Likewise a write to an eventfd: the
// process at the other end can make its file blocking, and its counter full. Whoever is the last to close or unmap a
// memory file frees all of its pages, a fifth of a second for a GiB, and the file may be longer than what is mapped;
// and each close looks through all locks on it.
//
// There is a lane for each kind: closing what nothing is known of, closing eventfds, memory, and signals. What waits in
// one delays nothing in another. In each, threads are limited for each user whose processes they wait for and in all;
// what cannot be done yet stays in a table of fixed size, in which whatever may have to go there has its place
// beforehand. Nothing here asks for memory of the heap's, waits or throws. From any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>
#include <utility>

#include <memif/error.hpp>

namespace memif::deferred {

// Where it is not known whose processes have a descriptor.
inline constexpr uid_t nobody = static_cast<uid_t>(-1);

enum class Kind : std::uint8_t {
  strange,  // nothing is known of it
  eventfd,
  memory,  // a memory file, or a mapping of one
};

// While there is one of these, each lane has a thread, so that none must be had when it may not be had any more.
// Otherwise threads are started as they are needed, and end when there is nothing to do.
class Helpers {
 public:
  Helpers() noexcept;
  ~Helpers();
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;
};

// A place in the table of a lane, or none if there was none. Move-only.
class Place {
 public:
  Place() noexcept = default;
  explicit Place(Kind kind) noexcept;
  Place(Place&& other) noexcept : kind_(other.kind_), held_(other.release()) {}
  Place& operator=(Place&& other) noexcept;
  ~Place();

  explicit operator bool() const noexcept { return held_; }
  Kind kind() const noexcept { return kind_; }
  [[nodiscard]] bool release() noexcept { return std::exchange(held_, false); }

 private:
  Kind kind_ = Kind::strange;
  bool held_ = false;
};

// Why something is not taken, or a link not made: too much waits already. It may work later.
Error no_room();

// Closes `fd`, which a process of `user` has or had too. It is not to be used any more.
void close(int fd, uid_t user, Place place) noexcept;

// Undoes a mapping of a file that a process of `user` has or had.
void unmap(void* address, std::size_t size, uid_t user, Place place) noexcept;

// Adds one to an eventfd's counter. Signals that no thread has come to yet are one. `fd` is to be closed by close().
void signal(int fd, uid_t user) noexcept;

// So much of this user's is still being closed that no more descriptors are to be taken from it.
bool overloaded(uid_t user) noexcept;

// So much is still being closed, whoever's it is, that no more connections, and no descriptors, are to be taken.
bool full() noexcept;

// Bytes of this user's that are still to be unmapped.
std::size_t unmapping(uid_t user) noexcept;

// How many are not closed, unmapped or signalled yet.
std::size_t outstanding() noexcept;

// What had no place, and is open or mapped until the process ends.
std::size_t lost() noexcept;

}  // namespace memif::deferred
