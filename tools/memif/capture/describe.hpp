// What is shown of a packet beside its description: its time, and its bytes in hexadecimal.
#pragma once

#include <string>

#include "capture/pcapng.hpp"
#include "net/codec.hpp"

namespace memif::tool {

// Sixteen bytes a line with their offset and their characters.
std::string hex_dump(View bytes);

// The time of day: "12:34:56.123456", local time.
std::string describe(CaptureTime time);

}  // namespace memif::tool
