// The names of a capture's files.
#pragma once

#include <cstdint>
#include <string>

#include "capture/pcapng.hpp"

namespace memif::tool {

// "out.pcapng" as number 7 of its ring: "out_00007_20240229123456.pcapng", with local time. As dumpcap names them.
std::string ring_name(const std::string& path, std::uint64_t number, CaptureTime time);

// "out-%H.pcap" at a time: strftime(3), local time. What is not printable by it stays as it is.
std::string timed_name(const std::string& path, CaptureTime time);

// As tcpdump names them: "out.pcap", then "out.pcap1"; with `wrap` files that are written in turn "out.pcap0", with as
// many digits as the last needs.
std::string counted_name(const std::string& path, std::uint64_t number, std::uint64_t wrap);

}  // namespace memif::tool
