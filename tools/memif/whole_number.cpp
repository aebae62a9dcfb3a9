#include "whole_number.hpp"

#include <string>

#include "command.hpp"
#include "units.hpp"

namespace memif::tool {

CLI::Validator whole_number(std::uint64_t min, std::uint64_t max) {
  const auto check = [min, max](std::string& text) -> std::string {
    try {
      text = std::to_string(parse_number(text, min, max));
      return {};
    } catch (const UsageError& error) {
      return error.what();
    }
  };
  return CLI::Validator(check, "");
}

}  // namespace memif::tool
