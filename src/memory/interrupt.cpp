#include "memory/interrupt.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <string>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <memif/detail/uncancelled.hpp>

namespace memif {
namespace {

enum class Proof { is_eventfd, is_not, unknown };

// Signals eventfds from inside the kernel. A write() waits while the counter is full, unless O_NONBLOCK is set, and
// both are in the peer's hands; the completion of an asynchronous operation signals an eventfd without ever waiting.
// The operation is an empty write to /dev/null, which completes inside io_submit(): one system call, as write() is.
// The kernel refuses to attach anything but an eventfd to an operation (EINVAL), which also proves what a descriptor
// is.
class Notifier {
 public:
  static Notifier& instance() noexcept;

  bool signal(int fd) noexcept { return submit(fd, IOCB_CMD_PWRITE) == 0; }

  // By an operation that fails only after the kernel has looked at the eventfd: reading what is open for writing only.
  Proof prove(int fd) noexcept {
    const int error = submit(fd, IOCB_CMD_PREAD);
    if (error == EINVAL) return Proof::is_not;
    // Unless it is our own descriptor that is bad, because the application has closed everything that it did not know.
    return error == EBADF && ::fcntl(null_.load(std::memory_order_relaxed), F_GETFD) >= 0 ? Proof::is_eventfd
                                                                                          : Proof::unknown;
  }

 private:
  static constexpr unsigned depth = 64;
  static constexpr aio_context_t none = 0;

  // /dev/null, or -1.
  int null() noexcept {
    int fd = null_.load(std::memory_order_acquire);
    if (fd >= 0) return fd;
    const int made = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (made < 0 || null_.compare_exchange_strong(fd, made, std::memory_order_acq_rel, std::memory_order_acquire))
      return made;
    ::close(made);  // another thread was first
    return fd;
  }

  // A context belongs to the process that made it: a child of fork() begins without.
  bool forgotten_by_children() noexcept {
    const auto forget = [] {
      instance().next_attempt_.store(0, std::memory_order_relaxed);
      instance().context_.store(none, std::memory_order_seq_cst);
    };
    if (!handled_.load(std::memory_order_acquire) && ::pthread_atfork(nullptr, nullptr, forget) == 0)
      handled_.store(true, std::memory_order_release);
    return handled_.load(std::memory_order_relaxed);
  }

  // None: there is none to be had. All of the machine's may be in use for now (fs.aio-max-nr), so it is tried again.
  aio_context_t context() noexcept {
    aio_context_t context = context_.load(std::memory_order_acquire);
    if (context != none || !due()) return context;
    aio_context_t made = none;
    if (!forgotten_by_children() || ::syscall(SYS_io_setup, depth, &made) != 0) return none;
    if (context_.compare_exchange_strong(context, made, std::memory_order_acq_rel, std::memory_order_acquire))
      return made;
    ::syscall(SYS_io_destroy, made);  // another thread was first
    return context;
  }

  // At once, and then no more often than this.
  bool due() noexcept {
    constexpr std::chrono::nanoseconds period = std::chrono::milliseconds(100);
    const std::int64_t now = std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
    std::int64_t next = next_attempt_.load(std::memory_order_relaxed);
    return now >= next && next_attempt_.compare_exchange_strong(next, now + period.count(), std::memory_order_relaxed);
  }

  // An errno, or 0.
  int submit(int fd, std::uint16_t operation) noexcept {
    const aio_context_t in = context();
    const int file = null();
    if (in == none || file < 0) return ENOSYS;
    iocb block{};
    block.aio_lio_opcode = operation;
    block.aio_fildes = static_cast<std::uint32_t>(file);
    block.aio_flags = IOCB_FLAG_RESFD;
    block.aio_resfd = static_cast<std::uint32_t>(fd);
    iocb* list = &block;
    // Results of earlier signals fill the context up; throwing them away makes room. Other threads may take it first.
    for (int attempt = 0; attempt < 8; ++attempt) {
      if (::syscall(SYS_io_submit, in, 1L, &list) == 1) return 0;
      if (errno != EAGAIN) return errno;
      discard_results(in);
    }
    return EAGAIN;
  }

  static void discard_results(aio_context_t in) noexcept {
    std::array<io_event, std::size_t{4} * depth> results;
    timespec no_time{};
    ::syscall(SYS_io_getevents, in, 0L, static_cast<long>(results.size()), results.data(), &no_time);
  }

  std::atomic<int> null_{-1};
  std::atomic<bool> handled_{false};  // forks
  std::atomic<aio_context_t> context_{none};
  std::atomic<std::int64_t> next_attempt_{0};  // to have a context, in ns
};

// Initialised before the program runs: a child of fork() would wait forever for a thread that was about to do it.
constinit Notifier notifier;

Notifier& Notifier::instance() noexcept { return notifier; }

bool ready(int fd, short events) noexcept {
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & events) != 0;
}

bool drain_by_read(int fd) noexcept {
  std::uint64_t count = 0;
  return ready(fd, POLLIN) && ::read(fd, &count, sizeof count) == sizeof count;
}

// What /proc calls an eventfd. Only the kernel makes a name that does not begin with '/': names of files do, whatever
// the peer called them, also those of memory files and of buffers of drivers.
Proof prove_by_name(int fd) {
  std::array<char, 64> name;
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), name.data(), name.size());
  if (length < 0) return Proof::unknown;  // no /proc here
  const std::string_view text(name.data(), static_cast<std::size_t>(length));
  return text == "anon_inode:[eventfd]" ? Proof::is_eventfd : Proof::is_not;
}

}  // namespace

Result<Fd> make_interrupt() {
  Fd fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd) return system_error(errno, "cannot create an eventfd");
  Notifier::instance().prove(fd.get());  // sets it up here rather than with the first signal, on a data thread
  return fd;
}

Result<SharedFd> adopt_interrupt(SharedFd fd) {
  if (!fd) return Error{Errc::not_an_eventfd, "there is no interrupt descriptor"};
  Proof proof = prove_by_name(fd.get());
  if (proof == Proof::unknown) proof = Notifier::instance().prove(fd.get());
  if (proof == Proof::is_not) return Error{Errc::not_an_eventfd, "the interrupt descriptor is not an eventfd"};
  if (proof == Proof::unknown) {
    return Error{Errc::not_an_eventfd,
                 "cannot tell whether the interrupt descriptor is an eventfd: neither /proc nor asynchronous I/O here"};
  }
  // Not relied upon (see above), but it spares the ways around it when nobody interferes.
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ((flags & O_NONBLOCK) == 0 && ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0)) {
    return system_error(errno, "cannot make the interrupt descriptor non-blocking");
  }
  if (::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0) return system_error(errno, "cannot set close-on-exec");
  const uid_t user = fd.user();
  return SharedFd(Fd(fd.release()), user, deferred::Kind::eventfd);
}

void signal_interrupt(int fd, uid_t user) noexcept {
  if (Notifier::instance().signal(fd)) return;
  const Uncancelled uncancelled;
  // A full counter wakes its reader as well as one more would; a bad descriptor wakes nobody.
  if (ready(fd, POLLOUT)) deferred::signal(fd, user);
}

bool drain_interrupt(int fd) noexcept {
  const Uncancelled uncancelled;
  static std::atomic<bool> no_nowait{false};  // a kernel that cannot read an eventfd so (before 5.8)
  if (no_nowait.load(std::memory_order_relaxed)) return drain_by_read(fd);
  std::uint64_t count = 0;
  const iovec into{&count, sizeof count};
  ssize_t length;
  do {
    length = ::preadv2(fd, &into, 1, -1, RWF_NOWAIT);
  } while (length < 0 && errno == EINTR);
  if (length == sizeof count) return true;
  if (errno != EOPNOTSUPP && errno != ENOSYS) return false;
  no_nowait.store(true, std::memory_order_relaxed);
  return drain_by_read(fd);
}

}  // namespace memif
