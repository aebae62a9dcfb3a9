#include "capture/names.hpp"

#include <array>
#include <ctime>
#include <filesystem>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include "capture/compress.hpp"

namespace memif::tool {
namespace {

std::tm local_time(CaptureTime time) {
  return fmt::localtime(std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time)));
}

}  // namespace

std::string ring_name(const std::string& path, std::uint64_t number, CaptureTime time) {
  std::filesystem::path whole(path);
  std::string end;
  if (compression_of(path) != Compression::none) {  // "out.pcapng.gz" ends in both
    end = whole.extension().string();
    whole.replace_extension();
  }
  const std::string name = fmt::format("{}_{:05}_{:%Y%m%d%H%M%S}{}{}", whole.stem().string(), number, local_time(time),
                                       whole.extension().string(), end);
  return (whole.parent_path() / name).string();
}

std::string timed_name(const std::string& path, CaptureTime time) {
  std::array<char, 4096> name;
  const std::tm local = local_time(time);
  const std::size_t length = std::strftime(name.data(), name.size(), path.c_str(), &local);
  return length == 0 ? path : std::string(name.data(), length);
}

std::string counted_name(const std::string& path, std::uint64_t number, std::uint64_t wrap) {
  if (wrap == 0) return number == 0 ? path : path + std::to_string(number);
  return fmt::format("{}{:0{}}", path, number % wrap, std::to_string(wrap - 1).size());
}

}  // namespace memif::tool
