#include "capture/pipe.hpp"

#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace memif::tool {
namespace {

// A chunk is handed over when it has so much, or when there is nothing to read for now.
constexpr std::size_t chunk_packets = 1024, chunk_bytes = std::size_t{256} << 10;

Fd make_event() {
  Fd fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

}  // namespace

CapturePipe::CapturePipe(Fd input, const std::string& name)
    : input_(std::move(input)), news_(make_event()), stop_(make_event()), thread_([this, name] { read_all(name); }) {}

CapturePipe::~CapturePipe() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

std::optional<CapturedPacket> CapturePipe::next() {
  if (at_ == taken_.packets.size()) {
    const std::lock_guard lock(mutex_);
    if (!handed_) {
      ended_ = done_;
      if (trouble_) std::rethrow_exception(std::exchange(trouble_, nullptr));
      return std::nullopt;
    }
    taken_ = std::move(*handed_);
    handed_.reset();
    at_ = offset_ = 0;
    eventfd_t count = 0;
    if (!done_) ::eventfd_read(news_.get(), &count);
    changed_.notify_all();
  }
  const Chunk::Packet& packet = taken_.packets[at_++];
  const View data = View(taken_.bytes).subspan(std::exchange(offset_, offset_ + packet.size), packet.size);
  return CapturedPacket{packet.time, data, packet.original_size};
}

const CaptureReader* CapturePipe::reader(bool wait) {
  std::unique_lock lock(mutex_);
  if (wait) changed_.wait(lock, [this] { return head_ || done_; });
  if (wait && trouble_ && !head_) std::rethrow_exception(trouble_);
  return head_ ? &*reader_ : nullptr;
}

// --- The thread ---

void CapturePipe::read_all(const std::string& name) noexcept {
  std::exception_ptr trouble;
  try {
    read_packets(name);
  } catch (...) {
    trouble = std::current_exception();
  }
  const bool wanted = hand_over();
  const std::lock_guard lock(mutex_);
  if (wanted) trouble_ = trouble;
  done_ = true;
  tell();
}

void CapturePipe::read_packets(const std::string& name) {
  CaptureReader opened([this](char* to, std::size_t size) { return read(to, size); }, name);
  {
    const std::lock_guard lock(mutex_);
    reader_.emplace(std::move(opened));
    head_ = true;
    tell();
  }
  while (const auto packet = reader_->next()) {
    filling_.packets.push_back({packet->time, packet->data.size(), packet->original_size});
    filling_.bytes.insert(filling_.bytes.end(), packet->data.begin(), packet->data.end());
    if ((filling_.packets.size() >= chunk_packets || filling_.bytes.size() >= chunk_bytes) && !hand_over()) return;
  }
}

// For stdio, which asks for as much as its buffer holds. Before a wait goes what the user may have.
ssize_t CapturePipe::read(char* to, std::size_t size) noexcept {
  for (int timeout = 0;;) {
    std::array fds{pollfd{input_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
    const int ready = ::poll(fds.data(), fds.size(), timeout);
    if (ready == 0) {
      hand_over();
      timeout = -1;
    } else if (ready > 0 && fds[1].revents != 0) {
      errno = ECANCELED;
      return -1;
    } else if (ready > 0) {
      const ssize_t length = ::read(input_.get(), to, size);
      if (length >= 0 || (errno != EAGAIN && errno != EINTR)) return length;
    }
  }
}

// Waits until the user has taken what came before. False: nobody wants any more.
bool CapturePipe::hand_over() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !handed_ || stopping_; });
  if (stopping_) return false;
  if (filling_.packets.empty()) return true;
  handed_ = std::exchange(filling_, {});
  tell();
  return true;
}

void CapturePipe::tell() noexcept {
  ::eventfd_write(news_.get(), 1);
  changed_.notify_all();
}

}  // namespace memif::tool
