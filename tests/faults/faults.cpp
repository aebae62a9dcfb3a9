#include "faults.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <fcntl.h>
#include <iterator>
#include <new>
#include <pthread.h>
#include <string_view>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <utility>

namespace memif::faults {
namespace {

thread_local Experiment* experiment = nullptr;
thread_local bool in_stretch = false;
std::atomic<long> blocks{0};

// How the system says that something has run out, for each of its calls that is made to fail. Other requests are for
// memory.
struct Failure {
  const char* call;
  std::array<int, 3> errors;
};
constexpr Failure failures[] = {
    {"socket", {EMFILE, ENFILE, ENOBUFS}},        {"bind", {ENOSPC, ENOMEM, EROFS}},
    {"listen", {ENOMEM, ENOBUFS, EADDRINUSE}},    {"connect", {EAGAIN, ENOMEM, ECONNREFUSED}},
    {"accept4", {EMFILE, ENFILE, ENOMEM}},        {"sendmsg", {ENOBUFS, ENOMEM, ETOOMANYREFS}},
    {"recvmsg", {ENOMEM, ENOBUFS, ENOMEM}},       {"memfd_create", {EMFILE, ENFILE, ENOMEM}},
    {"ftruncate", {ENOSPC, EFBIG, ENOMEM}},       {"fallocate", {ENOSPC, ENOMEM, EDQUOT}},
    {"mmap", {ENOMEM, EAGAIN, ENFILE}},           {"epoll_create1", {EMFILE, ENFILE, ENOMEM}},
    {"epoll_ctl", {ENOSPC, ENOMEM, ENOMEM}},  // ENOSPC: max_user_watches
    {"timerfd_create", {EMFILE, ENFILE, ENOMEM}}, {"eventfd", {EMFILE, ENFILE, ENOMEM}},
    {"open", {EMFILE, ENFILE, ENOMEM}},           {"fcntl", {EMFILE, ENOMEM, EINVAL}},
    {"fchmod", {EPERM, ENOSPC, EROFS}},           {"fchmodat", {EPERM, ENOSPC, EROFS}},
    {"fstat", {ENOMEM, EOVERFLOW, ENOMEM}},       {"flock", {ENOLCK, EINTR, ENOLCK}},
    {"mkdirat", {ENOSPC, EDQUOT, EROFS}},         {"openat", {EMFILE, ENFILE, ENOMEM}},
    {"renameat2", {ENOSPC, EINVAL, ENOSYS}},      {"linkat", {ENOSPC, EMLINK, EPERM}},
    {"io_setup", {EAGAIN, ENOMEM, ENOSYS}},       {"io_submit", {EAGAIN, ENOMEM, ENOSYS}},
    {"pthread_create", {EAGAIN, EPERM, ENOMEM}},
};

int ask(const char* call) noexcept { return in_stretch ? experiment->ask(call) : 0; }

void* allocate(std::size_t size, std::size_t alignment) {
  void* const block =
      refused("operator new") ? nullptr : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (block == nullptr) throw std::bad_alloc();
  blocks.fetch_add(1, std::memory_order_relaxed);
  return block;
}

void release(void* block) noexcept {
  if (block != nullptr) blocks.fetch_sub(1, std::memory_order_relaxed);
  std::free(block);
}

}  // namespace

Experiment::Experiment(unsigned n, Extent extent, unsigned variant) noexcept
    : left_(n), extent_(extent), variant_(variant) {
  experiment = this;
}

Experiment::~Experiment() { experiment = nullptr; }

int Experiment::ask(const char* call) noexcept {
  const auto* const failure = std::find_if(std::begin(failures), std::end(failures),
                                           [&](const Failure& one) { return one.call == std::string_view(call); });
  const bool system = failure != std::end(failures);
  // Variants are the system's: memory runs out in one way only.
  if (variant_ != 0 && !system) return 0;
  if (!failing_ && (left_ == 0 || --left_ != 0)) return 0;
  failing_ = extent_ == Extent::from_then;
  if (failed_ == nullptr) failed_ = call;
  return system ? failure->errors[variant_ % failure->errors.size()] : ENOMEM;
}

Experiment::Stretch::Stretch() noexcept { in_stretch = true; }

Experiment::Stretch::~Stretch() {
  in_stretch = false;
  experiment->failing_ = false;
}

bool refused(const char* call) noexcept {
  const int error = ask(call);
  if (error != 0) errno = error;
  return error != 0;
}

long blocks_in_use() noexcept { return blocks.load(std::memory_order_relaxed); }

}  // namespace memif::faults

using memif::faults::allocate;
using memif::faults::refused;
using memif::faults::release;

constexpr std::size_t usual = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

void* operator new(std::size_t size) { return allocate(size, usual); }
void* operator new[](std::size_t size) { return allocate(size, usual); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, std::size_t(alignment)); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return allocate(size, std::size_t(alignment)); }
void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { release(block); }

// The linker sends every call of the library's here: --wrap, see CMakeLists.txt. Those of the C++ runtime are not.
#define MEMIF_WRAP(type, call, parameters, arguments, failure) \
  extern "C" type __real_##call parameters;                    \
  extern "C" type __wrap_##call parameters;                    \
  type __wrap_##call parameters { return refused(#call) ? failure : __real_##call arguments; }

MEMIF_WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol), -1)
MEMIF_WRAP(int, bind, (int fd, const sockaddr* address, socklen_t length), (fd, address, length), -1)
MEMIF_WRAP(int, listen, (int fd, int backlog), (fd, backlog), -1)
MEMIF_WRAP(int, connect, (int fd, const sockaddr* address, socklen_t length), (fd, address, length), -1)
MEMIF_WRAP(int, accept4, (int fd, sockaddr* address, socklen_t* length, int flags), (fd, address, length, flags), -1)
MEMIF_WRAP(ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags), -1)
MEMIF_WRAP(ssize_t, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags), -1)
MEMIF_WRAP(int, memfd_create, (const char* name, unsigned flags), (name, flags), -1)
MEMIF_WRAP(int, ftruncate, (int fd, off_t size), (fd, size), -1)
MEMIF_WRAP(int, fallocate, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size), -1)
MEMIF_WRAP(void*, mmap, (void* at, std::size_t size, int protection, int flags, int fd, off_t offset),
           (at, size, protection, flags, fd, offset), MAP_FAILED)
MEMIF_WRAP(int, epoll_create1, (int flags), (flags), -1)
MEMIF_WRAP(int, timerfd_create, (int clock, int flags), (clock, flags), -1)
MEMIF_WRAP(int, eventfd, (unsigned count, int flags), (count, flags), -1)
MEMIF_WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), -1)
MEMIF_WRAP(int, fchmodat, (int directory, const char* name, mode_t mode, int flags), (directory, name, mode, flags), -1)
MEMIF_WRAP(int, mkdirat, (int directory, const char* name, mode_t mode), (directory, name, mode), -1)
MEMIF_WRAP(int, renameat2, (int from, const char* name, int to, const char* other, unsigned flags),
           (from, name, to, other, flags), -1)
MEMIF_WRAP(int, linkat, (int from, const char* name, int to, const char* other, int flags),
           (from, name, to, other, flags), -1)
MEMIF_WRAP(int, fstat, (int fd, struct stat* status), (fd, status), -1)
MEMIF_WRAP(int, flock, (int fd, int operation), (fd, operation), -1)

extern "C" {

// Taking a descriptor out needs nothing, so it cannot fail.
int __real_epoll_ctl(int epoll, int operation, int fd, epoll_event* event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  return operation != EPOLL_CTL_DEL && refused("epoll_ctl") ? -1 : __real_epoll_ctl(epoll, operation, fd, event);
}

int __real_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument);
int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument);
int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) {
  return refused("pthread_create") ? errno : __real_pthread_create(thread, attributes, run, argument);
}

int __real_open(const char* path, int flags, ...);
int __wrap_open(const char* path, int flags, ...);
int __wrap_open(const char* path, int flags, ...) { return refused("open") ? -1 : __real_open(path, flags); }

int __real_openat(int directory, const char* path, int flags, ...);
int __wrap_openat(int directory, const char* path, int flags, ...);
int __wrap_openat(int directory, const char* path, int flags, ...) {
  return refused("openat") ? -1 : __real_openat(directory, path, flags);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  const long argument = va_arg(list, long);
  va_end(list);
  return refused("fcntl") ? -1 : __real_fcntl(fd, command, argument);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  std::array<long, 5> arguments;  // the library's calls have no more
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_io_setup && refused("io_setup")) return -1;
  if (number == SYS_io_submit && refused("io_submit")) return -1;
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]);
}

}  // extern "C"
