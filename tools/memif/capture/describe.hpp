// What is shown of a packet beside its description: its time, and its bytes. As tcpdump shows them.
#pragma once

#include <optional>
#include <string>

#include "capture/pcapng.hpp"
#include "net/codec.hpp"

namespace memif::tool {

// Sixteen bytes a line with their offset, and with their characters if wanted.
std::string hex_dump(View bytes, bool characters);

// The bytes as text; what cannot be printed is a dot.
std::string ascii_dump(View bytes);

// Times in as many forms as tcpdump's -t has; local time.
class TimeColumn {
 public:
  // How often -t was given: 0 the time of day, 1 none, 2 seconds since 1970, 3 since the packet before, 4 with the
  // date, 5 since the first packet.
  explicit TimeColumn(unsigned form) : form_(form) {}

  // With a space behind it, or nothing.
  std::string operator()(CaptureTime time);

 private:
  unsigned form_;
  std::optional<CaptureTime> reference_;
};

}  // namespace memif::tool
