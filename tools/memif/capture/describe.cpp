#include "capture/describe.hpp"

#include <ctime>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <iterator>

namespace memif::tool {
namespace {

constexpr std::int64_t second = 1'000'000'000;

// In whole numbers: the conversions of std::chrono overflow for the first second that a capture can name.
struct Parts {
  std::int64_t seconds, microseconds;
};
Parts parts_of(CaptureTime time) {
  const std::int64_t ns = time.time_since_epoch().count();
  const std::int64_t rest = (ns % second + second) % second;
  return {ns / second - (ns % second < 0 ? 1 : 0), rest / 1000};
}

std::string difference(CaptureTime from, CaptureTime to) {
  constexpr std::int64_t million = 1'000'000;
  const auto microseconds = [](CaptureTime time) {
    const Parts parts = parts_of(time);
    return parts.seconds * million + parts.microseconds;
  };
  const std::int64_t all = microseconds(to) - microseconds(from), us = all < 0 ? -all : all, seconds = us / million;
  return fmt::format("{}{:02}:{:02}:{:02}.{:06} ", all < 0 ? "-" : " ", seconds / 3600, seconds / 60 % 60, seconds % 60,
                     us % million);
}

}  // namespace

std::string TimeColumn::operator()(CaptureTime time) {
  const Parts parts = parts_of(time);
  const auto local = [&parts] { return fmt::localtime(static_cast<std::time_t>(parts.seconds)); };
  switch (form_) {
    case 0:
      return fmt::format("{:%H:%M:%S}.{:06} ", local(), parts.microseconds);
    case 1:
      return {};
    case 2:
      return fmt::format("{}.{:06} ", parts.seconds, parts.microseconds);
    case 4:
      return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:06} ", local(), parts.microseconds);
    default: {
      const CaptureTime reference = reference_.value_or(time);
      if (form_ == 3 || !reference_) reference_ = time;
      return difference(reference, time);
    }
  }
}

std::string hex_dump(View bytes, bool characters) {
  std::string result;
  auto out = std::back_inserter(result);
  for (std::size_t line = 0; line < bytes.size(); line += 16) {
    const View row = bytes.subspan(line, std::min<std::size_t>(16, bytes.size() - line));
    fmt::format_to(out, "{}\t0x{:04x}: ", line == 0 ? "" : "\n", line);
    for (std::size_t i = 0; i < 16; ++i) {
      if (i >= row.size() && !characters) break;
      if (i % 2 == 0) result += ' ';
      if (i < row.size())
        fmt::format_to(out, "{:02x}", row[i]);
      else
        result += "  ";
    }
    if (!characters) continue;
    result += "  ";
    for (const std::uint8_t byte : row) result += byte > 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
  }
  return result;
}

std::string ascii_dump(View bytes) {
  std::string result;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::uint8_t byte = bytes[i];
    if (byte == '\r' && i + 1 < bytes.size() && bytes[i + 1] == '\n') continue;
    const bool shown = (byte >= 0x20 && byte < 0x7f) || byte == '\t' || byte == '\n';
    result += shown ? static_cast<char>(byte) : '.';
  }
  return result;
}

}  // namespace memif::tool
