#include "pcapng.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "command.hpp"

namespace memif::tool {
namespace pcapng {
namespace {

enum BlockType : std::uint32_t {
  section_header = 0x0a0d0d0a,
  interface_description = 1,
  interface_statistics = 5,
  enhanced_packet = 6,
};

enum Option : std::uint16_t {
  end_of_options = 0,
  section_application = 4,
  interface_name = 2,
  interface_time_resolution = 9,
  interface_filter = 11,
  statistics_start = 2,
  statistics_end = 3,
  statistics_received = 4,
  statistics_dropped = 5,
  statistics_accepted = 6,
};

template <class Number>
void append(Bytes& out, Number number) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&number);
  out.insert(out.end(), bytes, bytes + sizeof number);
}

void append_padded(Bytes& out, View data) {
  out.insert(out.end(), data.begin(), data.end());
  out.resize(out.size() + (4 - data.size() % 4) % 4);
}

void append_option(Bytes& out, Option code, View value) {
  append(out, static_cast<std::uint16_t>(code));
  append(out, static_cast<std::uint16_t>(value.size()));
  append_padded(out, value);
}

void append_option(Bytes& out, Option code, const std::string& text) {
  append_option(out, code,
                View(reinterpret_cast<const std::uint8_t*>(text.data()), std::min<std::size_t>(text.size(), 0xffff)));
}

void append_option(Bytes& out, Option code, std::uint64_t number) {
  append_option(out, code, View(reinterpret_cast<const std::uint8_t*>(&number), sizeof number));
}

// Times are two 32-bit halves, the upper one first, whatever the byte order.
void append_time(Bytes& out, CaptureTime time) {
  const auto ns = static_cast<std::uint64_t>(time.time_since_epoch().count());
  append(out, static_cast<std::uint32_t>(ns >> 32));
  append(out, static_cast<std::uint32_t>(ns));
}

void append_time_option(Bytes& out, Option code, CaptureTime time) {
  append(out, static_cast<std::uint16_t>(code));
  append(out, std::uint16_t{8});
  append_time(out, time);
}

// Type and length in front of a block, its length once more behind it.
class Block {
 public:
  Block(Bytes& out, BlockType type) : out_(out), start_(out.size()) {
    append(out, static_cast<std::uint32_t>(type));
    append(out, std::uint32_t{0});
  }
  void end() {
    const auto length = static_cast<std::uint32_t>(out_.size() + 4 - start_);
    append(out_, length);
    std::memcpy(out_.data() + start_ + 4, &length, sizeof length);
  }

 private:
  Bytes& out_;
  std::size_t start_;
};

}  // namespace

void append_section_header(Bytes& out, const std::string& application) {
  Block block(out, section_header);
  append(out, std::uint32_t{0x1a2b3c4d});  // tells the byte order
  append(out, std::uint16_t{1});           // version 1.0
  append(out, std::uint16_t{0});
  append(out, std::int64_t{-1});  // the section's length is not known
  append_option(out, section_application, application);
  append_option(out, end_of_options, View());
  block.end();
}

void append_interface(Bytes& out, const Description& interface) {
  constexpr std::uint8_t nanoseconds = 9;  // 10^-9 s
  constexpr std::uint8_t expression = 0;   // the filter is text
  Block block(out, interface_description);
  append(out, interface.link_type);
  append(out, std::uint16_t{0});
  append(out, interface.snap_length);
  append_option(out, interface_name, interface.name);
  append_option(out, interface_time_resolution, View(&nanoseconds, 1));
  if (!interface.filter.empty()) {
    Bytes filter{expression};
    filter.insert(filter.end(), interface.filter.begin(), interface.filter.end());
    append_option(out, interface_filter, filter);
  }
  append_option(out, end_of_options, View());
  block.end();
}

void append_packet(Bytes& out, CaptureTime time, View data, std::size_t original_size) {
  Block block(out, enhanced_packet);
  append(out, std::uint32_t{0});  // the only interface
  append_time(out, time);
  append(out, static_cast<std::uint32_t>(data.size()));
  append(out, static_cast<std::uint32_t>(original_size));
  append_padded(out, data);
  block.end();
}

void append_statistics(Bytes& out, CaptureTime time, const Statistics& statistics) {
  Block block(out, interface_statistics);
  append(out, std::uint32_t{0});
  append_time(out, time);
  append_time_option(out, statistics_start, statistics.start);
  append_time_option(out, statistics_end, statistics.end);
  append_option(out, statistics_received, statistics.received);
  append_option(out, statistics_dropped, statistics.dropped);
  append_option(out, statistics_accepted, statistics.accepted);
  append_option(out, end_of_options, View());
  block.end();
}

std::uint16_t file_link_type(int dlt) noexcept {
  constexpr int dlt_raw = 12;
  return static_cast<std::uint16_t>(dlt == dlt_raw ? 101 : dlt);
}

}  // namespace pcapng

namespace {

constexpr std::size_t buffer_size = 1 << 20;

Fd open_capture(const std::string& path) {
  Fd fd(path == "-" ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                    : ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) throw Failure(exit_failed, fmt::format("cannot write to {}: {}", path, std::strerror(errno)));
  return fd;
}

}  // namespace

CaptureFile::CaptureFile(const std::string& path, const pcapng::Description& interface)
    : path_(path == "-" ? "standard output" : path), fd_(open_capture(path)) {
  buffer_.reserve(buffer_size + 0x11000);
  pcapng::append_section_header(buffer_, "memif dump");
  pcapng::append_interface(buffer_, interface);
}

void CaptureFile::packet(CaptureTime time, View data, std::size_t original_size) {
  pcapng::append_packet(buffer_, time, data, original_size);
  if (buffer_.size() >= buffer_size) flush();
}

void CaptureFile::statistics(CaptureTime time, const pcapng::Statistics& statistics) {
  pcapng::append_statistics(buffer_, time, statistics);
}

void CaptureFile::flush() {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = ::write(fd_.get(), buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Failure(exit_failed, fmt::format("cannot write to {}: {}", path_, std::strerror(errno)));
    done += static_cast<std::size_t>(n);
  }
  written_ += done;
  buffer_.clear();
}

}  // namespace memif::tool
