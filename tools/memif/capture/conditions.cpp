#include "capture/conditions.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <set>

#include "common/command.hpp"
#include "common/units.hpp"

namespace memif::tool {

CaptureConditions parse_conditions(const std::string& option, const std::vector<std::string>& texts) {
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  CaptureConditions conditions;
  std::set<std::string> given;
  for (const std::string& text : texts) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    const std::string key = text.substr(0, colon), value = text.substr(std::min(colon + 1, text.size()));
    if (!given.insert(key).second) throw UsageError(fmt::format("{}: {} is given twice", option, key));
    try {
      if (key == "duration")
        conditions.duration = parse_duration(value);
      else if (key == "packets")
        conditions.packets = parse_number(value, 1, most);
      else if (key == "filesize")
        conditions.bytes = parse_size(value);
      else if (key == "files")
        conditions.files = parse_number(value, 1, most);
      else
        throw UsageError(fmt::format("'{}' is not duration:, packets:, filesize: or files:", text));
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("{}: {}", option, error.what()));
    }
    const bool nothing = (key == "filesize" && conditions.bytes == 0) ||
                         (key == "duration" && *conditions.duration == std::chrono::nanoseconds(0));
    if (nothing) throw UsageError(fmt::format("{}: {} must be more than 0", option, key));
  }
  return conditions;
}

}  // namespace memif::tool
