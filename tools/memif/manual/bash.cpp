#include <fmt/format.h>
#include <map>
#include <vector>

#include "manual/shell.hpp"

namespace memif::tool {
namespace {

// Readline's words end at '=' and ':' too. What comes after those in an option is its value, and in a port's word a
// file.
constexpr auto bash_beginning = R"(# bash completion for memif, made from the texts of its --help

_memif() {
  local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}
  local command='' options='' offer=''
  ((COMP_CWORD < 2)) || command=${COMP_WORDS[1]}
  if [[ $word == [=:] ]]; then
    word=''
  elif [[ $option == [=:] ]]; then
    option=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $command in
)";

constexpr auto bash_ending = R"(  esac
  [[ $option != -* && ${COMP_WORDS[COMP_CWORD - 1]}${COMP_WORDS[COMP_CWORD]} == *[=:]* ]] && offer=FILE
  COMPREPLY=()
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  elif [[ $offer == FILE ]]; then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -W "$offer" -- "$word")
  fi
  [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *: ]] || compopt -o nospace
}

complete -F _memif memif
)";

std::string joined(const std::vector<std::string>& words, const char* between) {
  return fmt::format("{}", fmt::join(words, between));
}

// What a value can be: words, or FILE, since no word has capitals.
std::string offer(const ManualOption& option) {
  return option.path() ? std::string("FILE") : joined(option.choices(), " ");
}

std::string branch(const ManualCommand& command, const std::string& pattern) {
  std::vector<std::string> options;
  std::map<std::string, std::vector<std::string>> names_of_offer;
  for (const ManualOption& option : command.options) {
    options.insert(options.end(), option.names.begin(), option.names.end());
    auto& names = names_of_offer[offer(option)];
    if (!option.value.empty()) names.insert(names.end(), option.names.begin(), option.names.end());
  }
  std::string offered;  // in the place of an argument
  for (const ManualOption& argument : command.arguments) offered += (offered.empty() ? "" : " ") + offer(argument);
  for (const ManualCommand& each : command.commands) offered += (offered.empty() ? "" : " ") + each.name;

  std::string result = fmt::format("    {})\n      options='{}'\n      offer='{}'\n      case $option in\n", pattern,
                                   joined(options, " "), offered);
  for (const auto& [words, names] : names_of_offer)
    if (!names.empty()) result += fmt::format("        {}) options='' offer='{}' ;;\n", joined(names, " | "), words);
  return result + "      esac\n      ;;\n";
}

}  // namespace

std::string bash_completion(const ManualCommand& root) {
  std::string result = bash_beginning + branch(root, "''");
  for (const ManualCommand& command : root.commands) result += branch(command, command.name);
  return result + bash_ending;
}

}  // namespace memif::tool
