// Quantities as people write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace memif::tool {

// All of these throw UsageError, naming the text and what was expected.

// "500ms", "2s", "1.5m"; units ns, us, ms, s, m (or min), h. A plain number is seconds.
std::chrono::nanoseconds parse_duration(std::string_view text);

// "64", "2KiB", "1.5MB": bytes. KiB, MiB, GiB are powers of 1024; kB, MB, GB of 1000.
std::uint64_t parse_size(std::string_view text);

// "10Mpps", "250kpps", "1000": packets a second, decimal prefixes.
double parse_packet_rate(std::string_view text);

// "5Gbit/s", "5Gbps", "100M": bits a second, decimal prefixes.
double parse_bit_rate(std::string_view text);

// Whether a rate has a unit that says that it is one of bits.
bool is_bit_rate(std::string_view text);

// "0.1%" or "0.1": percent. Nothing for an empty text. `option` is named in the message.
std::optional<double> parse_percent(std::string_view option, std::string_view text);

// A whole number in decimal, within the limits.
std::uint64_t parse_number(std::string_view text, std::uint64_t min, std::uint64_t max);

// Three or four digits and the unit that suits: "850 ns", "12.3 us", "1.25 s".
std::string format_duration(std::chrono::nanoseconds duration);

}  // namespace memif::tool
