// One line about a packet, and its bytes in hexadecimal.
#pragma once

#include <string>

#include <memif/config.hpp>

#include "capture/pcapng.hpp"
#include "net/codec.hpp"

namespace memif::tool {

// `packet` may be the beginning of a packet of `total` bytes.
std::string describe(View packet, std::size_t total, Mode mode);

// Sixteen bytes a line with their offset and their characters.
std::string hex_dump(View bytes);

// The time of day: "12:34:56.123456", local time.
std::string describe(CaptureTime time);

}  // namespace memif::tool
