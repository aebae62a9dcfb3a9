// One connection of the control channel: messages of 128 bytes that may carry a descriptor. docs/protocol.md, "Control
// channel" and "Messages".
#pragma once

#include <array>
#include <cstddef>
#include <list>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

#include <memif/error.hpp>
#include <memif/fd.hpp>
#include <memif/stats.hpp>

#include "base/shared_fd.hpp"
#include "protocol/message.hpp"

namespace memif {

// The descriptors of one message, in a fixed place so that owning them cannot fail. No good peer sends more than one,
// so that more are not even received.
class FdList {
 public:
  static constexpr std::size_t capacity = 2;

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  SharedFd& operator[](std::size_t index) noexcept { return fds_[index]; }
  SharedFd& front() noexcept { return fds_[0]; }
  SharedFd* begin() noexcept { return fds_.data(); }
  SharedFd* end() noexcept { return fds_.data() + size_; }
  void push_back(SharedFd fd) noexcept {
    if (size_ < capacity) fds_[size_++] = std::move(fd);  // beyond: closed
  }
  void clear() noexcept {
    for (SharedFd& fd : *this) fd.reset();
    size_ = 0;
  }

 private:
  std::array<SharedFd, capacity> fds_;
  std::size_t size_ = 0;
};

// What the peer sent, unchecked. Reusable: receive() empties it first.
struct Datagram {
  message::Bytes bytes{};  // zero after the received ones
  std::size_t length = 0;  // what was sent, more than 128 when the end is cut off
  FdList fds;              // all that arrived, owned and close-on-exec
  // Why there are more that were not received. They stay where they are, with the message: see Channel::receive().
  enum class Left { none, unwanted, too_many, not_now } left = Left::none;
};

// Owns the connected socket. Never blocks, also not by closing what the peer has sent: deferred.hpp. One thread.
class Channel {
 public:
  explicit Channel(Fd fd) noexcept;
  Channel(Channel&&) noexcept = default;
  Channel& operator=(Channel&& other) noexcept;
  ~Channel() { close(); }

  // What the peer does not read stays small: whatever waits unread in its socket is this process's memory.
  void limit_unread() noexcept;

  // From now on descriptors are received; until then they are not.
  void take_fds() noexcept { takes_fds_ = true; }

  enum class Receive { message, nothing, closed };

  // `closed`: the peer is gone and all that it had sent is received. An empty datagram is a message of length 0 while
  // the peer is there; it reads just like the end of the connection, and after the peer has gone it is taken for that.
  // An error: the system could not, whatever the peer did; or this process has no room for a descriptor that came.
  // A message whose descriptors are not all received stays the next one: nothing but to close the channel makes sense
  // then. They are `unwanted` before take_fds(), `too_many` with one of them received, and taken `not_now` while too
  // many that the peer's user sent, or all users, are still being closed.
  Result<Receive> receive(Datagram& into);

  // The same, but the message stays where it is: until discard(), it is the next again. That is for messages of which
  // all descriptors, if any, were received.
  Result<Receive> look(Datagram& into);
  void discard() noexcept;

  // Sends, or queues behind what waits already. `fd` (-1: none) stays the caller's; it is duplicated if it has to wait.
  // More than 16 waiting messages, no memory for one, or an error: failure(). Nothing is sent any more then; receive()
  // still works and may have the reason in a last DISCONNECT.
  void send(const message::Bytes& bytes, int fd = -1) noexcept;

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
    message::Bytes bytes;
    Fd fd;
  };

  void close() noexcept;
  Sent try_send(const message::Bytes& bytes, int fd) noexcept;
  void fail(int error) noexcept;

  pid_t process_ = ::getpid();     // that made it
  uid_t user_ = deferred::nobody;  // the peer's
  SharedFd fd_;                    // what the peer sent is closed with it
  bool takes_fds_ = false;
  std::list<Waiting> waiting_;
  std::error_code failure_;
};

}  // namespace memif
