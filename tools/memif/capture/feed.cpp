#include "capture/feed.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/pipe.hpp"

namespace memif::tool {
namespace {

// A descriptor if reading may have to wait for whoever writes. A FIFO without a writer is opened all the same.
Fd open_pipe(const std::string& path) {
  struct stat status {};
  const bool standard_input = path == "-";
  if ((standard_input ? ::fstat(STDIN_FILENO, &status) : ::stat(path.c_str(), &status)) != 0) return {};
  if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode) && !S_ISSOCK(status.st_mode)) return {};
  Fd fd(standard_input ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                       : ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd) throw Failure(exit_failed, fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  return fd;
}

}  // namespace

CaptureFeed::CaptureFeed(const std::string& path) {
  if (Fd fd = open_pipe(path))
    pipe_ = std::make_unique<CapturePipe>(std::move(fd), path == "-" ? "standard input" : path);
  else
    file_.emplace(path);
}

CaptureFeed::~CaptureFeed() = default;
CaptureFeed::CaptureFeed(CaptureFeed&&) noexcept = default;
CaptureFeed& CaptureFeed::operator=(CaptureFeed&&) noexcept = default;

void CaptureFeed::require(Mode mode) {
  if (file_)
    file_->require(mode);
  else
    required_ = mode;
}

Mode CaptureFeed::mode() { return file_ ? file_->mode() : pipe_->reader(true)->mode(); }

CaptureFeed::Next CaptureFeed::next() {
  std::optional<CapturedPacket> packet = file_ ? file_->next() : pipe_->next();
  if (required_)
    if (const CaptureReader* const reader = pipe_->reader(false)) {
      reader->require(*required_);
      required_.reset();
    }
  if (!packet) return file_ || pipe_->ended() ? Next::end : Next::later;
  packet_ = *packet;
  return Next::packet;
}

int CaptureFeed::fd() const noexcept { return pipe_ ? pipe_->fd() : -1; }

std::optional<double> CaptureFeed::part_read() const { return file_ ? file_->part_read() : std::nullopt; }

}  // namespace memif::tool
