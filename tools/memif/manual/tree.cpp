#include "manual/tree.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <sstream>

#include "common/app.hpp"
#include "common/options.hpp"

namespace memif::tool {
namespace {

ManualOption read_option(const CLI::Option& option) {
  ManualOption result;
  if (option.get_positional()) {
    result.names.push_back(option.get_name());
  } else {
    for (const std::string& name : option.get_snames()) result.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) result.names.push_back("--" + name);
  }
  if (option.get_items_expected_max() != 0) result.value = option.get_type_name();
  result.help = option.get_description();
  result.preset = option.get_default_str();
  result.group = option.get_group();
  result.required = option.get_required();
  result.repeated = option.get_items_expected_max() > 1;
  return result;
}

// Lines of prose are joined: they were broken for the width of a terminal.
void read_footer(const std::string& footer, ManualCommand& command) {
  std::istringstream lines(footer);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(example_label))
      command.examples.push_back(line.substr(std::string(example_label).size()));
    else if (!line.starts_with(exit_codes_label))  // those of all commands: exit_meanings
      command.notes += (command.notes.empty() ? "" : " ") + line;
  }
}

ManualCommand read_app(const CLI::App& app) {
  ManualCommand result;
  result.name = app.get_name();
  result.summary = app.get_description();
  read_footer(app.get_footer(), result);
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    (option->get_positional() ? result.arguments : result.options).push_back(read_option(*option));
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!command->get_group().empty()) result.commands.push_back(read_app(*command));
  return result;
}

}  // namespace

std::vector<std::string> ManualOption::choices() const {
  std::vector<std::string> result;
  std::istringstream words(value);
  for (std::string word; std::getline(words, word, '|');) {
    const auto capital = std::find_if(word.begin(), word.end(), [](unsigned char c) { return std::isupper(c) != 0; });
    word.erase(capital, word.end());
    if (!word.empty()) result.push_back(word);
  }
  return result;
}

ManualCommand read_manual(const Command& command) { return read_app(command.parser()); }

}  // namespace memif::tool
