#include "manual/page.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <vector>

#include "common/app.hpp"
#include "manual/markdown.hpp"

namespace memif::tool {
namespace {

constexpr int command_section = 1;

std::string page_name(const ManualCommand& root, const ManualCommand& command) {
  return &command == &root ? root.name : root.name + "-" + command.name;
}

std::string reference(std::string_view page, int section) { return fmt::format("{}({})", roff_bold(page), section); }

// With a capital and a full stop; words to be typed, memif:PATH, stay as they are.
std::string sentence(std::string text) {
  if (text.empty()) return text;
  if (text.substr(0, text.find(' ')).find(':') == std::string::npos)
    text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text.ends_with('.') ? text : text + '.';
}

std::string value_text(const ManualOption& option) {
  return option.value.empty() ? std::string() : " " + roff_italic(option.value);
}

void write_option(Roff& page, const ManualOption& option, bool argument) {
  std::string label;
  for (const std::string& name : option.names)
    label += (label.empty() ? "" : ", ") + (argument ? roff_italic(name) : roff_bold(name));
  std::string help = sentence(option.help);
  if (!option.preset.empty()) help += fmt::format(" Default: {}.", option.preset);
  page.item(label + (argument ? std::string() : value_text(option)), roff_escape(help));
}

void write_synopsis(Roff& page, const ManualCommand& root, const ManualCommand& command) {
  page.heading("Synopsis");
  std::string text = roff_bold(root.name);
  if (&command != &root) text += " " + roff_bold(command.name) + " [" + roff_italic("OPTION") + "]...";
  if (!command.commands.empty()) text += " " + roff_italic("COMMAND") + " [" + roff_italic("OPTION") + "]...";
  for (const ManualOption& argument : command.arguments) {
    const std::string word = roff_italic(argument.names.front());
    text += " " + (argument.required ? word : "[" + word + "]") + (argument.repeated ? "..." : "");
  }
  page.paragraph(text);
}

void write_options(Roff& page, const ManualCommand& command) {
  if (!command.arguments.empty()) page.heading("Arguments");
  for (const ManualOption& argument : command.arguments) write_option(page, argument, true);
  page.heading("Options");
  const std::string first_group = command.options.empty() ? "" : command.options.front().group;
  std::vector<std::string> groups;
  for (const ManualOption& option : command.options)
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) groups.push_back(option.group);
  for (const std::string& group : groups) {
    if (group != first_group) page.subheading(group);
    for (const ManualOption& option : command.options)
      if (option.group == group) write_option(page, option, false);
  }
}

void write_exit_status(Roff& page) {
  page.heading("Exit status");
  for (const ExitMeaning& exit : exit_meanings)
    page.item(roff_bold(std::to_string(static_cast<int>(exit.code))), roff_escape(sentence(exit.meaning)));
}

void write_see_also(Roff& page, const ManualCommand& root, const ManualCommand& command) {
  page.heading("See also");
  std::string text;
  if (&command != &root) text = reference(root.name, command_section) + ", ";
  for (const ManualCommand& other : root.commands)
    if (&other != &command) text += reference(page_name(root, other), command_section) + ", ";
  page.paragraph(text + reference(root.name, 7));
}

}  // namespace

std::string man_page(const ManualCommand& root, const ManualCommand& command, std::string_view document,
                     const ManualEdition& edition) {
  const std::string name = page_name(root, command);
  Roff page(name, command_section, edition.date, edition.version);
  page.heading("Name");
  const bool whole = &command == &root;
  page.line(fmt::format("{} \\- {}", roff_escape(name),
                        whole ? "tools for memif, packet interfaces in shared memory" : roff_escape(command.summary)));
  write_synopsis(page, root, command);
  page.heading("Description");
  page.paragraph(roff_escape(sentence(command.summary) + " " + command.notes));
  if (!command.commands.empty()) {
    page.heading("Commands");
    for (const ManualCommand& each : command.commands)
      page.item(reference(page_name(root, each), command_section), roff_escape(sentence(each.summary)));
  }
  write_options(page, command);
  write_markdown(page, document, "Details");
  write_exit_status(page);
  page.heading("Examples");
  for (const std::string& example : command.examples) page.literal(example);
  write_see_also(page, root, command);
  return page.text();
}

std::string man_page(std::string_view name, int section, std::string_view document, const ManualEdition& edition) {
  Roff page(name, section, edition.date, edition.version);
  page.heading("Name");
  page.line(fmt::format("{} \\- {}", roff_escape(name), roff_escape(markdown_title(document))));
  write_markdown(page, document, "Description");
  page.heading("See also");
  page.paragraph(reference("memif", command_section));
  return page.text();
}

}  // namespace memif::tool
