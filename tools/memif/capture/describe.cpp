#include "capture/describe.hpp"

#include <ctime>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <iterator>

namespace memif::tool {
// In whole numbers: the conversions of std::chrono overflow for the first second that a capture can name.
std::string describe(CaptureTime time) {
  constexpr std::int64_t second = 1'000'000'000;
  const std::int64_t ns = time.time_since_epoch().count();
  const std::int64_t rest = (ns % second + second) % second;
  const std::int64_t whole = ns / second - (ns % second < 0 ? 1 : 0);
  return fmt::format("{:%H:%M:%S}.{:06}", fmt::localtime(static_cast<std::time_t>(whole)), rest / 1000);
}

std::string hex_dump(View bytes) {
  std::string result;
  auto out = std::back_inserter(result);
  for (std::size_t line = 0; line < bytes.size(); line += 16) {
    const View row = bytes.subspan(line, std::min<std::size_t>(16, bytes.size() - line));
    fmt::format_to(out, "{}\t{:04x}: ", line == 0 ? "" : "\n", line);
    for (std::size_t i = 0; i < 16; ++i) {
      if (i % 2 == 0) result += ' ';
      if (i < row.size())
        fmt::format_to(out, "{:02x}", row[i]);
      else
        result += "  ";
    }
    result += "  ";
    for (const std::uint8_t byte : row) result += byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
  }
  return result;
}

}  // namespace memif::tool
