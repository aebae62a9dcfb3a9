// What a user asks of a capture, and what follows from that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "capture/conditions.hpp"
#include "capture/files.hpp"

namespace memif::tool {

struct CaptureOptions {
  std::uint64_t count = 0;  // 0: no limit
  std::string snap_length = "0", file;
  std::vector<std::string> stop_conditions, ring_conditions, filter;
  std::string format = "pcapng", compression;  // "": by the file's name

  // Files in turn as tcpdump has them: millions of bytes, seconds, how many, and a command for each.
  std::uint64_t file_size = 0, file_seconds = 0, file_count = 0;
  std::string command;

  bool quiet = false, json = false;
  // What is shown of a packet:
  bool link = false;                           // the link header as well
  unsigned hex = 0, hex_ascii = 0, ascii = 0;  // the bytes, as tcpdump's -x, -X, -A; twice: the link header's, too
  unsigned verbose = 0;                        // the IP header as well
  unsigned times = 0;                          // as tcpdump's -t
  bool bytes_shown() const noexcept { return hex + hex_ascii + ascii != 0; }
};

// All of these throw UsageError for options that contradict each other.

std::size_t snap_length(const CaptureOptions& options);
CaptureConditions stop_conditions(const CaptureOptions& options);
CaptureConditions ring_conditions(const CaptureOptions& options);
CaptureNaming naming(const CaptureOptions& options);
CaptureKind kind(const CaptureOptions& options);

}  // namespace memif::tool
