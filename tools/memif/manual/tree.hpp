// What the manual pages and completions know of the command: the texts of its --help, in parts.
#pragma once

#include <string>
#include <vector>

namespace memif::tool {

class Command;

struct ManualOption {
  std::vector<std::string> names;  // "-c", "--count"; of an argument by position: the one word it is called
  std::string value;               // what its value is called; empty: it takes none
  std::string help, preset;        // preset: the value that it has by itself, if that says something
  std::string group;               // the heading that it stands under
  bool required = false, repeated = false;

  // The words that its value can be, from a name such as "client|server". A capital ends what is known of a word: of
  // "tap:NAME" that is "tap:".
  std::vector<std::string> choices() const;

  // Whether its value names a file or a socket.
  bool path() const { return value == "FILE" || value == "PATH" || names.front() == "FILE"; }
};

struct ManualCommand {
  std::string name;  // "memif", or what comes after it
  std::string summary;
  std::string notes;                  // the prose of the footer
  std::vector<std::string> examples;  // command lines
  std::vector<ManualOption> arguments, options;
  std::vector<ManualCommand> commands;
};

ManualCommand read_manual(const Command& command);

}  // namespace memif::tool
