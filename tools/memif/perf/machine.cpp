#include "perf/machine.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/output.hpp"

namespace memif::tool {
namespace {

using Json = nlohmann::ordered_json;

// What follows "KEY   : " in /proc/cpuinfo, of the first CPU.
std::string cpu_info(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key))
      if (const std::size_t colon = line.find(": "); colon != line.npos) return printable(line.substr(colon + 2));
  return {};
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return printable(line);
}

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json kernel() {
  utsname names{};
  return ::uname(&names) == 0 ? Json(fmt::format("{} {} {}", names.sysname, names.release, names.machine)) : Json();
}

// A word of a command line as a shell takes it, with the secrets of a port in it left out.
std::string described(std::string word, bool secret) {
  constexpr std::string_view keys[] = {"--secret=", ",secret="};
  if (secret) word = "...";
  for (const std::string_view key : keys) {
    const std::size_t at = word.find(key);
    if (at != word.npos) word.replace(at + key.size(), word.find(',', at + key.size()) - at - key.size(), "...");
  }
  const bool plain = word.find_first_of(" '\"\\$`|&;<>()*?!#~") == word.npos && !word.empty();
  return plain ? printable(word) : "'" + printable(word) + "'";
}

}  // namespace

std::string describe_command(std::string_view words) {
  std::string text;
  for (bool secret = false; !words.empty();) {
    const std::size_t end = std::min(words.find('\0'), words.size());
    const std::string word(words.substr(0, end));
    text += (text.empty() ? "" : " ") + described(word, secret);
    secret = word == "--secret";
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return text;
}

std::string describe_command() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  return describe_command(std::string(std::istreambuf_iterator<char>(file), {}));
}

Json describe_machine() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
  return {{"cpu", or_null(cpu_info("model name"))},
          {"cpus", ::sysconf(_SC_NPROCESSORS_ONLN)},
          {"memory_bytes", pages > 0 && page > 0 ? Json(std::uint64_t(pages) * std::uint64_t(page)) : Json()},
          {"kernel", kernel()},
          {"governor", or_null(first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))},
          {"virtual", (" " + cpu_info("flags") + " ").find(" hypervisor ") != std::string::npos}};
}

}  // namespace memif::tool
