// Reading captures: pcap and pcapng, by libpcap, also compressed. A capture is untrusted: whatever it says of itself is
// checked.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <memif/config.hpp>

#include "capture/decompress.hpp"
#include "capture/pcapng.hpp"
#include "common/command.hpp"
#include "net/codec.hpp"

namespace memif::tool {

struct CapturedPacket {
  CaptureTime time;
  View data;  // valid until the next call
  std::size_t original_size = 0;
};

// A capture cannot be read beyond some place.
class CaptureDamaged : public Failure {
 public:
  explicit CaptureDamaged(const std::string& message) : Failure(exit_failed, message) {}
};

class CaptureReader {
 public:
  // "-": standard input. Throws Failure.
  explicit CaptureReader(const std::string& path);
  // What `read` gives, as read(2) does. `name` is for messages.
  CaptureReader(ReadSome read, const std::string& name);
  ~CaptureReader();
  CaptureReader(CaptureReader&&) noexcept;
  CaptureReader& operator=(CaptureReader&&) noexcept;

  // Nothing at the end. Throws CaptureDamaged where the file is damaged or ends in the middle of a packet.
  std::optional<CapturedPacket> next();

  // Throws UsageError unless packets of this file are what a port of that mode carries.
  void require(Mode mode) const;

  // The mode of a port that carries packets of this file. Throws UsageError where there is none.
  Mode mode() const;

  // The part of the file that was read, 0 to 1; nothing where that is not known: of a pipe, of compressed data.
  std::optional<double> part_read() const;

  int link_type() const;

 private:
  void read_from(ReadSome read);
  std::string what_is_wrong(const char* told) const;
  bool carried_by(Mode mode) const;
  std::string link_type_name() const;

  struct File;
  std::unique_ptr<File> file_;
};

}  // namespace memif::tool
