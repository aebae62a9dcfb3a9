#include "common/units.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <span>

#include "common/command.hpp"

namespace memif::tool {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array duration_units{Unit{"", 1e9},  Unit{"ns", 1},   Unit{"us", 1e3},   Unit{"ms", 1e6},
                                    Unit{"s", 1e9}, Unit{"m", 6e10}, Unit{"min", 6e10}, Unit{"h", 3.6e12}};

constexpr std::array size_units{Unit{"", 1},         Unit{"B", 1},    Unit{"KiB", 1024}, Unit{"MiB", 1024.0 * 1024},
                                Unit{"GiB", 0x1p30}, Unit{"kB", 1e3}, Unit{"MB", 1e6},   Unit{"GB", 1e9}};

constexpr std::array prefixes{Unit{"", 1}, Unit{"k", 1e3}, Unit{"K", 1e3}, Unit{"M", 1e6}, Unit{"G", 1e9}};

// The number at the beginning, times the unit that follows it; what is too large for 63 bits is refused as well.
double parse(std::string_view text, std::span<const Unit> units, std::string_view expected) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error == std::errc{} && std::isfinite(number) && !std::signbit(number)) {
    const std::string_view name(rest, static_cast<std::size_t>(end - rest));
    for (const Unit& unit : units)
      if (unit.name == name && number * unit.factor < 0x1p62) return number * unit.factor;
  }
  throw UsageError(fmt::format("'{}' is not {}", text, expected));
}

// `number` and, or not, a unit.
std::string_view without(std::string_view number, std::string_view unit) {
  if (number.ends_with(unit)) number.remove_suffix(unit.size());
  return number;
}

}  // namespace

std::chrono::nanoseconds parse_duration(std::string_view text) {
  return std::chrono::nanoseconds(std::llround(parse(text, duration_units, "a duration such as 500ms or 2s")));
}

std::uint64_t parse_size(std::string_view text) {
  const double size = parse(text, size_units, "a size such as 64 or 2KiB");
  if (size != std::floor(size)) throw UsageError(fmt::format("'{}' is not a whole number of bytes", text));
  if (size >= 0x1p63) throw UsageError(fmt::format("'{}' is more than there can be", text));
  return static_cast<std::uint64_t>(size);
}

bool is_bit_rate(std::string_view text) { return text.ends_with("bit/s") || text.ends_with("bps"); }

double parse_packet_rate(std::string_view text) {
  return parse(without(text, "pps"), prefixes, "a packet rate such as 10Mpps");
}

double parse_bit_rate(std::string_view text) {
  return parse(without(text, text.ends_with("bps") ? "bps" : "bit/s"), prefixes, "a bit rate such as 5Gbit/s");
}

std::optional<double> parse_percent(std::string_view option, std::string_view text) {
  if (text.empty()) return std::nullopt;
  static constexpr std::array percent{Unit{"", 1}, Unit{"%", 1}};
  try {
    return parse(text, percent, "a percentage such as 0.1%");
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", option, error.what()));
  }
}

std::uint64_t parse_number(std::string_view text, std::uint64_t min, std::uint64_t max) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || number < min || number > max)
    throw UsageError(fmt::format("'{}' is not a number from {} to {}", text, min, max));
  return number;
}

std::string format_duration(std::chrono::nanoseconds duration) {
  const auto ns = static_cast<double>(duration.count());
  if (ns < 1e3) return fmt::format("{:.0f} ns", ns);
  const auto [value, unit] = ns < 1e6    ? std::pair(ns / 1e3, "us")
                             : ns < 1e9  ? std::pair(ns / 1e6, "ms")
                             : ns < 3e14 ? std::pair(ns / 1e9, "s")
                             : ns < 6e16 ? std::pair(ns / 86400e9, "days")
                                         : std::pair(ns / 365.25 / 86400e9, "years");
  return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, unit);
}

}  // namespace memif::tool
