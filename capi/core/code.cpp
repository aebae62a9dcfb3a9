#include "code.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace memif::capi {
namespace {

constexpr std::array<const char*, code_count> texts = {
    "success",
    "a system call failed",
    "nobody accepts connections on that socket",
    "permission denied",
    "no such file or directory",
    "the system has no file descriptor left",
    "the process has no file descriptor left",
    "it was done before",
    "try again later",
    "not an open file descriptor",
    "out of memory",
    "invalid argument",
    "no interface: the handle is null",
    "the handle has an interface already",
    "the program's callback for file descriptors failed",
    "that file is not a socket that can be used",
    "a region came without its memory file",
    "a ring does not begin with memif's magic number",
    "the ring has not enough free buffers",
    "the array is full and more is waiting",
    "the buffer for the details is too small",
    "a notification could not be written",
    "a message that cannot be: wrong length or values",
    "no queue of that number",
    "no protocol version in common with the peer",
    "no interface of that id, or one too many",
    "the interface of that id is a slave itself",
    "the interface has a peer already",
    "the peer's interface is of another mode",
    "wrong secret",
    "the peer demands a secret",
    "more regions than the peer accepts",
    "more rings than the peer accepts",
    "a ring came without its interrupt descriptor",
    "the peer has ended the connection",
    "the interface is not connected",
    "a message of unknown type",
    "the wait was cancelled",
    "the ring is larger than 2^14 descriptors",
    "a private header is not supported",
};

struct Failure {
  Code code = Code::success;
  std::array<char, 480> detail{};
  std::array<char, 640> text{};
};
thread_local Failure failure;

Code code_of_errno(int error) noexcept {
  switch (error) {
    case EACCES:
    case EPERM:
      return Code::acces;
    case ENOENT:
      return Code::no_file;
    case ENFILE:
      return Code::file_limit;
    case EMFILE:
      return Code::proc_file_limit;
    case EALREADY:
      return Code::already;
    case EAGAIN:
      return Code::again;
    case EBADF:
      return Code::bad_fd;
    case ENOMEM:
      return Code::nomem;
    case ENOTSOCK:
      return Code::file_not_sock;
    case ECONNREFUSED:
      return Code::connrefused;
    default:
      return Code::syscall;
  }
}

// What functions fail with. How a handshake ends is no function's result, but a Reason in words.
Code code_of_memif(Errc error) noexcept {
  switch (error) {
    case Errc::not_a_socket:
      return Code::file_not_sock;
    case Errc::already_connected:
      return Code::alrconn;
    case Errc::address_in_use:
      return Code::syscall;
    default:
      return Code::inval_arg;
  }
}

// The level below which nothing is logged; beyond all levels: silence.
int threshold() noexcept {
  static const int level = [] {
    const char* const wanted = std::getenv("MEMIF_LOG");
    if (wanted == nullptr) return 4;
    constexpr std::array names = {"debug", "info", "warning", "error"};
    for (std::size_t i = 0; i < names.size(); ++i)
      if (std::strcmp(wanted, names[i]) == 0) return static_cast<int>(i);
    return 4;
  }();
  return level;
}

// With what the thread's last failure was about, if it was that.
char* describe(int code, bool failed) noexcept {
  const char* const text = texts[static_cast<std::size_t>(code)];
  if (code == 0 || !failed) return const_cast<char*>(text);
  std::snprintf(failure.text.data(), failure.text.size(), "%s: %s", text, failure.detail.data());
  return failure.text.data();
}

}  // namespace

Code code_of(const std::error_code& error) noexcept {
  if (error.category() == memif_category()) return code_of_memif(static_cast<Errc>(error.value()));
  return code_of_errno(error.value());
}

void forget_failure() noexcept { failure.code = Code::success; }

Code fail(const Error& error) noexcept {
  failure.code = code_of(error.code);
  std::snprintf(failure.detail.data(), failure.detail.size(), "%s", error.message.c_str());
  log(LogLevel::debug, error.message);
  if (error.code == Errc::address_in_use)
    errno = EADDRINUSE;
  else if (error.code.category() != memif_category())
    errno = error.code.value();
  return failure.code;
}

char* explain(int code, Codes codes) noexcept {
  const bool shifted = codes == Codes::without_connrefused && code > static_cast<int>(Code::syscall);
  // The C API says char*, but nobody may write there.
  if (code < 0 || code >= code_count - (shifted ? 1 : 0)) return const_cast<char*>("not an error code of memif");
  return describe(shifted ? code + 1 : code, value_of(failure.code, codes) == code);
}

void log(LogLevel level, std::string_view text) noexcept {
  constexpr std::array names = {"debug", "info", "warning", "error"};
  const auto index = static_cast<std::size_t>(level);
  if (static_cast<int>(level) < threshold() || index >= names.size()) return;
  std::fprintf(stderr, "libmemif: %s: %.*s\n", names[index], static_cast<int>(text.size()), text.data());
}

}  // namespace memif::capi
