// One connection of the control channel: messages of 128 bytes that may carry a descriptor. docs/protocol.md, "Control
// channel" and "Messages".
#pragma once

#include <array>
#include <cstddef>
#include <list>
#include <sys/socket.h>
#include <utility>

#include <memif/error.hpp>
#include <memif/fd.hpp>
#include <memif/stats.hpp>

namespace memif {

inline constexpr std::size_t message_bytes = 128;
using MessageBytes = std::array<std::byte, message_bytes>;

// The descriptors of one message, in a fixed place so that owning them cannot fail. The kernel sends at most 253.
class FdList {
 public:
  static constexpr std::size_t capacity = 253;

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  Fd& operator[](std::size_t index) noexcept { return fds_[index]; }
  Fd& front() noexcept { return fds_[0]; }
  Fd* begin() noexcept { return fds_.data(); }
  Fd* end() noexcept { return fds_.data() + size_; }
  void push_back(Fd fd) noexcept {
    if (size_ < capacity) fds_[size_++] = std::move(fd);  // beyond: closed
  }
  void clear() noexcept {
    for (Fd& fd : *this) fd.reset();
    size_ = 0;
  }

 private:
  std::array<Fd, capacity> fds_;
  std::size_t size_ = 0;
};

// What the peer sent, unchecked. Reusable: receive() empties it first.
struct Datagram {
  MessageBytes bytes{};        // zero after the received ones
  std::size_t length = 0;      // what was sent, more than 128 when the end is cut off
  FdList fds;                  // all that arrived, owned and close-on-exec
  bool fds_truncated = false;  // more were sent than these, which are one at least
};

// Owns the connected socket. Never blocks. One thread.
class Channel {
 public:
  explicit Channel(Fd fd) noexcept;

  enum class Receive { message, nothing, closed };

  // `closed`: the peer is gone and all that it had sent is received. An empty datagram is a message of length 0 while
  // the peer is there; it reads just like the end of the connection, and after the peer has gone it is taken for that.
  // An error: the system could not, whatever the peer did; or this process has no room for a descriptor that came.
  Result<Receive> receive(Datagram& into) { return receive(into, 0); }

  // The same, but the message stays where it is: until discard(), it is the next again.
  Result<Receive> look(Datagram& into) { return receive(into, MSG_PEEK); }
  void discard() noexcept;

  // Sends, or queues behind what waits already. `fd` (-1: none) stays the caller's; it is duplicated if it has to wait.
  // More than 16 waiting messages, no memory for one, or an error: failure(). Nothing is sent any more then; receive()
  // still works and may have the reason in a last DISCONNECT.
  void send(const MessageBytes& bytes, int fd = -1) noexcept;

  // Sends what waits, as far as the peer takes it. True: nothing waits any more.
  bool flush() noexcept;
  // Something is there to be received, if only the end.
  bool readable() const noexcept;
  bool wants_write() const noexcept { return !waiting_.empty(); }
  // Why nothing is sent any more: peer_gone, or what the system said.
  std::error_code failure() const noexcept { return failure_; }

  // Of the process that connected or that called listen(), at that moment.
  Result<Credentials> credentials() const;

  int fd() const noexcept { return fd_.get(); }

 private:
  static constexpr std::size_t max_waiting = 16;
  enum class Sent { yes, later, never };
  struct Waiting {
    MessageBytes bytes;
    Fd fd;
  };

  Result<Receive> receive(Datagram& into, int flags);
  Sent try_send(const MessageBytes& bytes, int fd) noexcept;
  void fail(int error) noexcept;

  Fd fd_;
  std::list<Waiting> waiting_;
  std::error_code failure_;
};

}  // namespace memif
