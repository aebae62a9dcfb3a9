// Writing captures: pcapng with one interface and nanosecond timestamps.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <memif/fd.hpp>

#include "codec.hpp"

namespace memif::tool {

// Nanoseconds since 1970.
using CaptureTime = std::chrono::sys_time<std::chrono::nanoseconds>;

namespace pcapng {

// The blocks that a capture is made of, in the byte order of this machine, as the format wants it. Each appends itself.

void append_section_header(Bytes& out, const std::string& application);

struct Description {
  std::uint16_t link_type = 1;    // LINKTYPE_ETHERNET 1, LINKTYPE_RAW 101
  std::uint32_t snap_length = 0;  // 0: no limit
  std::string name;               // of the interface
  std::string filter;             // the expression that chose the packets
};
void append_interface(Bytes& out, const Description& interface);

void append_packet(Bytes& out, CaptureTime time, View data, std::size_t original_size);

struct Statistics {
  CaptureTime start, end;
  std::uint64_t received = 0;  // by the interface
  std::uint64_t dropped = 0;   // by the interface
  std::uint64_t accepted = 0;  // by the filter
};
void append_statistics(Bytes& out, CaptureTime time, const Statistics& statistics);

// LINKTYPE_ value of files for a mode, where it differs from the DLT_ value in memory.
std::uint16_t file_link_type(int dlt) noexcept;

}  // namespace pcapng

// A capture file, or standard output ("-"). Buffered: flush() or close() writes what is left. Throws Failure.
class CaptureFile {
 public:
  CaptureFile(const std::string& path, const pcapng::Description& interface);

  void packet(CaptureTime time, View data, std::size_t original_size);
  void statistics(CaptureTime time, const pcapng::Statistics& statistics);
  void flush();

  std::uint64_t bytes() const noexcept { return written_ + buffer_.size(); }

 private:
  std::string path_;
  Fd fd_;
  Bytes buffer_;
  std::uint64_t written_ = 0;
};

}  // namespace memif::tool
