#include "capture/file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>
#include <utility>

#include "capture/pcap.hpp"
#include "common/output.hpp"
#include "net/packets.hpp"

namespace memif::tool {
namespace {

// A write takes as long as its bytes need; meanwhile nobody empties the rings. So not too many at once.
constexpr std::size_t flush_size = std::size_t{128} * 1024;
constexpr std::size_t packet_room = pcapng::packet_head + max_packet + pcapng::packet_tail;

// The length of the whole blocks at the beginning of `bytes`.
std::size_t whole_blocks(View bytes) noexcept {
  std::size_t at = 0;
  while (bytes.size() - at >= 12) {
    std::uint32_t length = 0;
    std::memcpy(&length, bytes.data() + at + 4, sizeof length);
    if (length > bytes.size() - at) break;
    at += length;
  }
  return at;
}

// The same of a pcap file's records; `at` is where the first of them begins.
std::size_t whole_records(View bytes, std::size_t at) noexcept {
  if (bytes.size() < at) return 0;
  while (bytes.size() - at >= pcap::packet_head) {
    std::uint32_t length = 0;
    std::memcpy(&length, bytes.data() + at + 8, sizeof length);
    if (length > bytes.size() - at - pcap::packet_head) break;
    at += pcap::packet_head + length;
  }
  return at;
}

}  // namespace

CaptureFile::CaptureFile(const std::vector<pcapng::Description>& interfaces, const CaptureKind& kind)
    : kind_(kind), compressor_(make_compressor(kind.compression)) {
  if (is_pcap()) {
    pcap::append_file_header(header_, interfaces.front().link_type, interfaces.front().snap_length);
  } else {
    pcapng::append_section_header(header_, "memif dump");
    for (const pcapng::Description& interface : interfaces) pcapng::append_interface(header_, interface);
  }
  buffer_ = std::make_unique<std::uint8_t[]>(header_.size() + flush_size + packet_room);
}

void CaptureFile::open(const std::string& path) {
  own_ = path != "-";
  path_ = own_ ? path : "standard output";
  fd_.reset(own_ ? ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)
                 : ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!fd_) fail(errno);
  used_ = 0;
  written_ = 0;
  append(header_);
}

std::span<std::uint8_t> CaptureFile::room() noexcept {
  const std::size_t before = is_open() ? used_ : header_.size();
  return {buffer_.get() + before + packet_head(), max_packet};
}

std::size_t CaptureFile::packet_head() const noexcept { return is_pcap() ? pcap::packet_head : pcapng::packet_head; }

void CaptureFile::packet(const pcapng::PacketRecord& packet) {
  const auto write = is_pcap() ? pcap::write_packet : pcapng::write_packet;
  used_ += write(buffer_.get() + used_, packet);
  if (used_ >= flush_size) flush();
}

void CaptureFile::statistics(std::uint32_t interface, CaptureTime time, const pcapng::Statistics& statistics) {
  if (is_pcap()) return;
  Bytes block;
  pcapng::append_statistics(block, interface, time, statistics);
  append(block);
  if (used_ >= flush_size) flush();
}

void CaptureFile::append(const Bytes& blocks) {
  std::memcpy(buffer_.get() + used_, blocks.data(), blocks.size());
  used_ += blocks.size();
}

void CaptureFile::flush() {
  if (used_ == 0) return;
  const View plain(buffer_.get(), used_), bytes = compressor_ ? compressor_->compress(plain) : plain;
  const std::size_t done = write_all(fd_.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (done != bytes.size()) {
    const int error = errno;
    cut(written_ + (compressor_ ? 0 : whole(bytes.first(done))));
    fail(error);
  }
  written_ += done;
  used_ = 0;
}

std::size_t CaptureFile::whole(View bytes) const noexcept {
  return is_pcap() ? whole_records(bytes, written_ == 0 ? pcap::file_head : 0) : whole_blocks(bytes);
}

// Standard output may have had something before us, so it stays as it is. Nor can a device be cut.
void CaptureFile::cut(std::uint64_t size) noexcept {
  if (own_ && ::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return;
}

void CaptureFile::close() {
  if (!is_open()) return;
  flush();
  if (::close(fd_.release()) != 0 && errno != EINTR) fail(errno);
}

void CaptureFile::check_reader() const {
  pollfd watched{fd_.get(), 0, 0};
  if (is_open() && ::poll(&watched, 1, 0) == 1 && (watched.revents & POLLERR) != 0)
    throw PipeClosed(fmt::format("cannot write to {}: {}", path_, std::strerror(EPIPE)));
}

void CaptureFile::fail(int error) {
  fd_.reset();
  const std::string message = fmt::format("cannot write to {}: {}", path_, std::strerror(error));
  if (error == EPIPE) throw PipeClosed(message);
  throw Failure(exit_failed, message);
}

}  // namespace memif::tool
