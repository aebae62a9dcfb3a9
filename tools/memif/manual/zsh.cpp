#include <algorithm>
#include <fmt/format.h>

#include "manual/shell.hpp"

namespace memif::tool {
namespace {

constexpr auto zsh_beginning = R"(#compdef memif
# zsh completion for memif, made from the texts of its --help

# The words that a port can begin with; after those, a file.
_memif_port() {
  if compset -P '*:'; then
    compset -P '*='
    _files
  else
    compadd -S "" -- "$@"
  fi
}

_memif() {
  local curcontext=$curcontext state line
  local -a commands
  typeset -A opt_args
)";

constexpr auto zsh_ending = R"(      esac
      ;;
  esac
}

_memif "$@"
)";

// For the middle of a specification of _arguments, in single quotes.
std::string escape(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
      continue;
    }
    if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

// What can be the value: an action of _arguments.
std::string action(const ManualOption& option) {
  if (option.path()) return "_files";
  const auto choices = option.choices();
  if (choices.empty()) return " ";
  const bool goes_on =
      std::any_of(choices.begin(), choices.end(), [](const auto& word) { return word.ends_with(':'); });
  const std::string words = escape(fmt::format("{}", fmt::join(choices, " ")));
  return goes_on ? fmt::format(" _memif_port {}", words) : fmt::format("({})", words);
}

std::string value(const ManualOption& option) {
  return option.value.empty() ? std::string() : fmt::format(":{}:{}", escape(option.value), action(option));
}

// '(-c --count)'{-c+,--count=}'[help]:N: '
std::string specification(const ManualOption& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names)
    names.push_back(name + (option.value.empty() ? "" : name.starts_with("--") ? "=" : "+"));
  const std::string details = fmt::format("[{}]{}", escape(option.help), value(option));
  if (names.size() == 1) return fmt::format("'{}{}{}'", option.repeated ? "*" : "", names.front(), details);
  const std::string exclusion = option.repeated ? "*" : fmt::format("({})", fmt::join(option.names, " "));
  return fmt::format("'{}'{{{}}}'{}'", exclusion, fmt::join(names, ","), details);
}

std::string specifications(const ManualCommand& command) {
  std::string result;
  for (const ManualOption& option : command.options) result += fmt::format(" \\\n          {}", specification(option));
  std::size_t position = 0;
  for (const ManualOption& argument : command.arguments) {
    const std::string place = argument.repeated ? "*" : std::to_string(++position);
    result += fmt::format(" \\\n          '{}:{}:{}'", place, escape(argument.names.front()), action(argument));
  }
  return result;
}

}  // namespace

std::string zsh_completion(const ManualCommand& root) {
  std::string result = zsh_beginning;
  result += "  commands=(\n";
  for (const ManualCommand& command : root.commands)
    result += fmt::format("    '{}:{}'\n", command.name, escape(command.summary));
  result += "  )\n  _arguments -C" + specifications(root) +
            " \\\n          '1:command:->command' '*::argument:->argument'\n"
            "  case $state in\n"
            "    command) _describe -t commands 'memif command' commands ;;\n"
            "    argument)\n"
            "      case $words[1] in\n";
  for (const ManualCommand& command : root.commands)
    result += fmt::format("        {}) _arguments{} ;;\n", command.name, specifications(command));
  return result + zsh_ending;
}

}  // namespace memif::tool
