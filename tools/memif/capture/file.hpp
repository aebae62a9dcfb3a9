// One capture file after the other, through one buffer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <memif/fd.hpp>

#include "capture/compress.hpp"
#include "capture/pcapng.hpp"
#include "common/command.hpp"

namespace memif::tool {

enum class CaptureFormat { pcapng, pcap };

struct CaptureKind {
  CaptureFormat format = CaptureFormat::pcapng;
  Compression compression = Compression::none;
};

// Nobody reads the pipe any more.
class PipeClosed : public Failure {
 public:
  explicit PipeClosed(const std::string& message) : Failure(exit_failed, message) {}
};

// Buffered: flush() or close() writes what is left. All throw Failure; what a full disk left of the last block is cut
// off first, so that the file can be read as far as it goes.
class CaptureFile {
 public:
  // A pcap file says the link type and the length of the first of them.
  explicit CaptureFile(const std::vector<pcapng::Description>& interfaces, const CaptureKind& kind = {});

  // Begins a file, or standard output ("-").
  void open(const std::string& path);
  bool is_open() const noexcept { return static_cast<bool>(fd_); }

  // Where the bytes of the next packet go, max_packet of them; also before open().
  std::span<std::uint8_t> room() noexcept;
  // Adds the packet whose bytes are in room().
  void packet(const pcapng::PacketRecord& packet);
  void statistics(std::uint32_t interface, CaptureTime time, const pcapng::Statistics& statistics);

  void flush();
  void close();
  std::uint64_t bytes() const noexcept { return written_ + used_; }

  // Throws PipeClosed if what is written to is a pipe, and its reader has gone.
  void check_reader() const;

 private:
  bool is_pcap() const noexcept { return kind_.format == CaptureFormat::pcap; }
  std::size_t packet_head() const noexcept;
  std::size_t whole(View bytes) const noexcept;
  void append(const Bytes& blocks);
  void cut(std::uint64_t size) noexcept;
  [[noreturn]] void fail(int error);

  const CaptureKind kind_;
  std::unique_ptr<Compressor> compressor_;  // null: none
  std::string path_;
  Fd fd_;
  bool own_ = false;  // not standard output
  Bytes header_;      // what every file begins with
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t used_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace memif::tool
