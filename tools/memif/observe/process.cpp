#include "observe/process.hpp"

#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/output.hpp"

namespace memif::tool {

std::string process_name(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/comm", pid));
  std::string name;
  std::getline(file, name);
  return printable(name);
}

nlohmann::ordered_json process_json(const Credentials& process) {
  return {{"pid", process.pid}, {"uid", process.uid}, {"gid", process.gid}, {"name", process_name(process.pid)}};
}

std::string process_text(const Credentials& process) {
  const std::string name = process_name(process.pid);
  return fmt::format("{}{}pid {}, uid {}, gid {}", name, name.empty() ? "" : ", ", process.pid, process.uid,
                     process.gid);
}

std::string version_text(std::uint16_t version) { return fmt::format("{}.{}", version >> 8, version & 0xff); }

}  // namespace memif::tool
