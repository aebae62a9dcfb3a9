#include "capture/options.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "common/command.hpp"
#include "common/units.hpp"
#include "net/packets.hpp"

namespace memif::tool {
namespace {

bool as_tcpdump(const CaptureOptions& options) { return options.file_size != 0 || options.file_seconds != 0; }

void check_tcpdump(const CaptureOptions& options) {
  if (!as_tcpdump(options)) {
    if (options.file_count != 0) throw UsageError("-W needs -C or -G, which say when the next file begins");
    if (!options.command.empty()) throw UsageError("-z needs -C or -G, by which there are several files");
    return;
  }
  if (!options.ring_conditions.empty()) throw UsageError("-b and -C or -G are two ways to say the same");
  if (options.file.empty() || options.file == "-") throw UsageError("-C and -G need the name of a file (-w)");
  if (options.file_seconds != 0 && options.file_size == 0 && options.file.find('%') == std::string::npos)
    throw UsageError("-G needs a name with a time in it, or each file is written over: -w out-%H%M%S.pcapng");
}

}  // namespace

std::size_t snap_length(const CaptureOptions& options) {
  const std::uint64_t length = parse_size(options.snap_length);
  return length == 0 ? max_packet : std::min<std::uint64_t>(length, max_packet);
}

CaptureConditions stop_conditions(const CaptureOptions& options) {
  CaptureConditions stop = parse_conditions("-a", options.stop_conditions);
  if (options.count != 0) stop.packets = stop.packets == 0 ? options.count : std::min(stop.packets, options.count);
  if (stop.bytes != 0 && options.file.empty()) throw UsageError("-a filesize: needs a file (-w)");
  if (stop.files != 0 && options.ring_conditions.empty() && !as_tcpdump(options))
    throw UsageError("-a files: needs several files (-b)");
  if (options.json && options.file == "-") throw UsageError("--json and -w - both want standard output");
  if (options.file_count != 0 && options.file_size == 0) stop.files = options.file_count;
  return stop;
}

CaptureConditions ring_conditions(const CaptureOptions& options) {
  constexpr std::uint64_t million = 1'000'000;
  check_tcpdump(options);
  CaptureConditions ring = parse_conditions("-b", options.ring_conditions);
  if (as_tcpdump(options)) {
    ring.bytes = options.file_size * million;
    if (options.file_seconds != 0) ring.duration = std::chrono::seconds(options.file_seconds);
    return ring;
  }
  if (options.ring_conditions.empty()) return ring;
  if (!ring.change_file()) throw UsageError("-b files: needs another -b that says when a file is full, as filesize:");
  if (options.file.empty() || options.file == "-") throw UsageError("-b needs the name of a file (-w)");
  return ring;
}

CaptureNaming naming(const CaptureOptions& options) {
  if (!as_tcpdump(options)) return {};
  return {.style = CaptureNaming::Style::tcpdump,
          .by_time = options.file_seconds != 0,
          .counted = options.file_size != 0,
          .wrap = options.file_size != 0 ? options.file_count : 0,
          .command = options.command};
}

CaptureKind kind(const CaptureOptions& options) {
  CaptureKind kind{.compression = compression_of(options.file)};
  if (options.format == "pcap") kind.format = CaptureFormat::pcap;
  if (options.compression == "none") kind.compression = Compression::none;
  if (options.compression == "gzip") kind.compression = Compression::gzip;
  if (options.compression == "zstd") kind.compression = Compression::zstd;
  if (options.file.empty() && (kind.format == CaptureFormat::pcap || kind.compression != Compression::none))
    throw UsageError("-F and --compress need a file (-w)");
  return kind;
}

}  // namespace memif::tool
