// The numbers that the C API returns, and what can be said about them.
#pragma once

#include <exception>
#include <new>
#include <string_view>
#include <system_error>

#include <memif/config.hpp>
#include <memif/error.hpp>

namespace memif::capi {

// Values and order of every generation but 2, which has no connrefused: value_of().
enum class Code : int {
  success,
  syscall,
  connrefused,
  acces,
  no_file,
  file_limit,
  proc_file_limit,
  already,
  again,
  bad_fd,
  nomem,
  inval_arg,
  noconn,
  conn,
  cb_fdupdate,
  file_not_sock,
  no_shmfd,
  cookie,
  nobuf_ring,
  nobuf,
  nobuf_det,
  int_write,
  mfmsg,
  qid,
  proto,
  id,
  accslave,
  alrconn,
  mode,
  secret,
  nosecret,
  maxreg,
  maxring,
  no_intfd,
  disconnect,
  disconnected,
  unknown_msg,
  poll_cancel,
  max_ring,
  privhdr,
};
inline constexpr int code_count = static_cast<int>(Code::privhdr) + 1;

enum class Codes { with_connrefused, without_connrefused };

constexpr int value_of(Code code, Codes codes) noexcept {
  const int value = static_cast<int>(code);
  return codes == Codes::without_connrefused && code >= Code::connrefused ? value - 1 : value;
}

// What a code means, for any number. If it is the one that the calling thread's last control call failed with, what
// failed, where and why is appended. The text is the thread's, and good until its next call of a function of the API.
char* explain(int code, Codes codes) noexcept;

// Forgets what the thread's last failure was about.
void forget_failure() noexcept;

// Remembers it, logs it, sets errno to that of the system call, and gives the code for it.
Code fail(const Error& error) noexcept;
Code code_of(const std::error_code& error) noexcept;

// To standard error, if the environment variable MEMIF_LOG asks for it: debug, info, warning or error.
void log(LogLevel level, std::string_view text) noexcept;

// The body of a control call: nothing that it throws gets out.
template <class Body>
Code guarded(Body&& body) noexcept {
  forget_failure();
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Code::nomem;
  } catch (const Exception& error) {
    return fail({error.code(), error.what()});
  } catch (const std::system_error& error) {
    return fail({error.code(), error.what()});
  } catch (...) {
    return Code::inval_arg;
  }
}

}  // namespace memif::capi
