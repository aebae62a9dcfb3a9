#include "common/program.hpp"

#include <csignal>
#include <exception>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include <memif/memif.hpp>

#include "common/output.hpp"

namespace memif::tool {
namespace {

// A standard descriptor that is closed would be given to the first socket or file, and what is printed would go there.
// Reading from what takes its place, or writing to it, fails as before.
void keep_standard_descriptors() noexcept {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0)
      static_cast<void>(::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));  // the lowest that is free: fd
}

int run_and_tell(const Action& program) {
  try {
    const int code = program();
    flush_output();
    return code;
  } catch (const UsageError& error) {
    complain(std::string(error.what()) + " (see " + command_name() + " --help)");
    return exit_usage;
  } catch (const Failure& failure) {
    complain(failure.what());
    return failure.code();
  } catch (const memif::Exception& error) {
    complain(error.what());
    return error.code() == memif::Errc::invalid_config ? exit_usage : exit_failed;
  } catch (const std::exception& error) {
    complain(error.what());
    return exit_failed;
  }
}

}  // namespace

int run_program(const Action& program) noexcept {
  keep_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error, so that sockets and captures are closed in order
  std::signal(SIGXFSZ, SIG_IGN);  // so is a file that has the size that this process may make
  const int code = run_and_tell(program);
  try {
    flush_output();           // what was printed before a failure
  } catch (const Failure&) {  // which has been told, and has its exit code
  }
  return code;
}

}  // namespace memif::tool
