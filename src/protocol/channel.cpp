#include "protocol/channel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <poll.h>
#include <sys/socket.h>

namespace memif {
namespace {

constexpr std::size_t fds_bytes = FdList::capacity * sizeof(int);

// Takes every descriptor of a received message before anything else can happen to it.
void own_fds(msghdr& header, FdList& fds, uid_t user) noexcept {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
      fds.push_back(SharedFd(Fd(fd), user));
    }
  }
}

bool means_gone(int error) noexcept { return error == EPIPE || error == ECONNRESET || error == ENOTCONN; }

// None of a message's descriptors could be installed. It may be that there were some, or that a filter cut them off:
// the next descriptor tells, or it comes too late to tell.
Error descriptors_lost(int fd) {
  const Fd another(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!another && (errno == EMFILE || errno == ENFILE))
    return system_error(errno, "this process cannot take the file descriptor of a message (RLIMIT_NOFILE)");
  return {
      std::make_error_code(std::errc::permission_denied),
      "this process could not take the file descriptor of a message: it had too many open for a moment, or a security "
      "module forbids it"};
}

// recvmsg() returns 0 for an empty datagram and for the end; only after the end is the peer's half shut.
bool peer_is_gone(int fd) noexcept {
  pollfd entry{fd, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) != 0;
}

void set_option(int fd, int option, int value) noexcept { ::setsockopt(fd, SOL_SOCKET, option, &value, sizeof value); }

// Nothing can come any more, and all that came was received. An empty message reads like the end; but of a message
// there is something that does not fit, the credentials that it is made to have. The other direction stays open: a peer
// that is to see a reset must not see an end before (docs/protocol.md, "Leaving").
bool nothing_unread(int fd) noexcept {
  ::shutdown(fd, SHUT_RD);
  set_option(fd, SO_PASSCRED, 1);
  for (int attempt = 0; attempt < 3; ++attempt) {  // a reset is reported once
    std::byte first;
    iovec body{&first, 1};
    msghdr header{};
    header.msg_iov = &body;
    header.msg_iovlen = 1;
    const ssize_t length = ::recvmsg(fd, &header, MSG_DONTWAIT | MSG_PEEK);
    if (length >= 0) return length == 0 && (header.msg_flags & MSG_CTRUNC) == 0;
  }
  return false;
}

}  // namespace

// An adopted listener may have been told to attach credentials to messages, a label, or a descriptor of the sending
// process, and its connections inherit that. Nobody would own that descriptor.
Channel::Channel(Fd fd) noexcept {
  constexpr int pass_pidfd = 76;  // SO_PASSPIDFD, Linux 6.5; absent from older headers, unknown to older kernels
  for (const int option : {SO_PASSCRED, SO_PASSSEC, pass_pidfd}) set_option(fd.get(), option, 0);
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0) user_ = peer.uid;
  fd_ = SharedFd(std::move(fd), user_);
}

// A few messages: the kernel makes it the least that it takes.
void Channel::limit_unread() noexcept { set_option(fd_.get(), SO_SNDBUF, 1); }

Channel& Channel::operator=(Channel&& other) noexcept {
  if (this == &other) return *this;
  close();
  process_ = other.process_;
  fd_ = std::move(other.fd_);
  user_ = other.user_;
  takes_fds_ = other.takes_fds_;
  waiting_ = std::move(other.waiting_);
  failure_ = other.failure_;
  return *this;
}

// With the socket goes what is still in it, descriptors too. In a child of fork() it is the parent's to end.
void Channel::close() noexcept {
  if (!fd_) return;
  if (process_ == ::getpid() && nothing_unread(fd_.get()))
    ::close(fd_.release());
  else
    fd_.reset();
}

// The message is looked at first, and then taken without its descriptors. So the kernel closes none: where it did, this
// thread would wait for that. Those that are received are the same files once more.
Result<Channel::Receive> Channel::receive(Datagram& into) {
  Result<Receive> seen = look(into);
  if (seen && *seen == Receive::message && into.left == Datagram::Left::none) discard();
  return seen;
}

Result<Channel::Receive> Channel::look(Datagram& into) {
  into.fds.clear();
  into.left = Datagram::Left::none;
  into.bytes.fill(std::byte{0});
  into.length = 0;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(fds_bytes)> control;
  using enum Datagram::Left;
  const Datagram::Left reason = !takes_fds_                                       ? unwanted
                                : deferred::overloaded(user_) || deferred::full() ? not_now
                                                                                  : too_many;
  bool was_reset = false;
  for (;;) {
    iovec body{into.bytes.data(), into.bytes.size()};
    msghdr header{};
    header.msg_iov = &body;
    header.msg_iovlen = 1;
    if (reason == too_many) {
      header.msg_control = control.data();
      header.msg_controllen = control.size();
    }
    // MSG_TRUNC: the result is the length that was sent.
    const ssize_t length = ::recvmsg(fd_.get(), &header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
    if (length < 0 && errno == EINTR) continue;
    // A peer that closes without having read everything resets the connection. That is reported once, before what it
    // had sent, which may be the DISCONNECT that tells why.
    if (length < 0 && errno == ECONNRESET && !std::exchange(was_reset, true)) continue;
    if (length < 0 && errno == EAGAIN) return Receive::nothing;
    if (length < 0 && means_gone(errno)) return Receive::closed;
    if (length < 0) return system_error(errno, "cannot receive on the control channel");
    own_fds(header, into.fds, user_);
    if ((header.msg_flags & MSG_CTRUNC) != 0) into.left = reason;
    if (into.left == too_many && into.fds.empty()) return descriptors_lost(fd_.get());
    into.length = static_cast<std::size_t>(length);
    break;
  }
  if (into.length > 0 || !peer_is_gone(fd_.get())) return Receive::message;
  into.fds.clear();
  return Receive::closed;
}

// The kernel drops its own hold of the descriptors that go with the message. There is none, or ours is another. A reset
// that has come since the message was looked at is reported here.
void Channel::discard() noexcept {
  std::byte ignored;
  bool was_reset = false;
  while (::recv(fd_.get(), &ignored, sizeof ignored, MSG_DONTWAIT | MSG_TRUNC) < 0 &&
         (errno == EINTR || (errno == ECONNRESET && !std::exchange(was_reset, true)))) {
  }
}

bool Channel::readable() const noexcept {
  pollfd entry{fd_.get(), POLLIN, 0};
  return ::poll(&entry, 1, 0) != 0;
}

Channel::Sent Channel::try_send(const message::Bytes& bytes, int fd) noexcept {
  iovec body{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &body;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  if (fd >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  ssize_t sent;
  do {
    sent = ::sendmsg(fd_.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return Sent::yes;
  return errno == EAGAIN ? Sent::later : Sent::never;
}

void Channel::fail(int error) noexcept {
  failure_ = means_gone(error) ? make_error_code(Errc::peer_gone) : std::error_code(error, std::system_category());
  waiting_.clear();
}

void Channel::send(const message::Bytes& bytes, int fd) noexcept {
  if (failure_) return;
  if (waiting_.empty()) {
    switch (try_send(bytes, fd)) {
      case Sent::yes:
        return;
      case Sent::never:
        return fail(errno);
      case Sent::later:
        break;
    }
  }
  if (waiting_.size() == max_waiting) return fail(ENOBUFS);
  Fd copy;
  if (fd >= 0) {
    copy.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) return fail(errno);
  }
  try {
    waiting_.push_back({bytes, std::move(copy)});
  } catch (const std::bad_alloc&) {
    fail(ENOMEM);
  }
}

bool Channel::flush() noexcept {
  while (!waiting_.empty()) {
    const Sent sent = try_send(waiting_.front().bytes, waiting_.front().fd.get());
    if (sent == Sent::later) return false;
    if (sent == Sent::never) {
      fail(errno);
      break;
    }
    waiting_.pop_front();
  }
  return true;
}

Result<Credentials> Channel::credentials() const {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return system_error(errno, "cannot ask for the peer's credentials");
  }
  return Credentials{peer.pid, peer.uid, peer.gid};
}

}  // namespace memif
