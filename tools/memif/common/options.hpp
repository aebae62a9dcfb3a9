// The command line as the subcommands describe it. What parses it, CLI11, is behind these two classes, in options.cpp
// alone: its header takes longer to compile than all that a subcommand does. The functions have the names that CLI11
// gives them.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace memif::tool {

// An option of a command, which owns it. Each function says one more thing about it.
class Option {
 public:
  explicit Option(CLI::Option& option) : option_(&option) {}

  Option& required();
  Option& type_name(const std::string& name);  // what its value is called
  Option& group(const std::string& name);      // the heading that it stands under; empty: it is hidden
  Option& default_str(const std::string& text);
  Option& capture_default_str();  // what the variable holds now is the default that the help shows
  Option& excludes(const Option& other);
  Option& expected(int min, int max);  // so many values
  Option& one_value_each();            // given again for each value of a list
  Option& delimiter(char character);   // between the values of a list
  Option& first_counts();              // of several, where only one is wanted

  // Whole decimal numbers within the limits. CLI11 by itself takes "-1" for a very large number, "010" for 8, and what
  // is too large for the largest.
  Option& whole_number(std::uint64_t min = 0, std::uint64_t max = std::numeric_limits<std::uint64_t>::max());

  Option& check(const std::function<std::string(const std::string& value)>& check);  // returns what is wrong, or ""
  Option& each(const std::function<void(const std::string& value)>& each);

 private:
  CLI::Option* option_;
};

// A program's command line, or a subcommand of one. What options are read into must outlive the parsing.
class Command {
 public:
  explicit Command(CLI::App& app) : app_(&app) {}

  Command add_subcommand(const std::string& name, const std::string& summary);
  bool has_subcommand(const std::string& name) const;
  Command& require_subcommand();
  Command& version_flag(const std::string& text);
  Command& footer(const std::string& text);
  Command& callback(const std::function<void()>& chosen);

  // Values are text, numbers and lists of them: options.cpp has the list.
  template <class Value>
  Option add_option(const std::string& names, Value& value, const std::string& help);
  template <class Value>
  Option add_option_function(const std::string& names, const std::function<void(const Value&)>& set,
                             const std::string& help);
  Option add_flag(const std::string& names, bool& value, const std::string& help);
  Option add_flag(const std::string& names, unsigned& times, const std::string& help);  // how often it was given
  Option add_flag(const std::string& names, const std::string& help);
  Option get_option(const std::string& name);

  // False if the arguments only ask for a text, such as --help, which is then printed. Throws UsageError.
  bool parse(int argc, const char* const* argv);

  const CLI::App& parser() const { return *app_; }

 private:
  CLI::App* app_;
};

// The command line of a whole program.
class CommandLine : public Command {
 public:
  CommandLine(const std::string& name, const std::string& about);
  CommandLine(CommandLine&&) noexcept;
  ~CommandLine();

 private:
  explicit CommandLine(std::unique_ptr<CLI::App> app);

  std::unique_ptr<CLI::App> owned_;
};

}  // namespace memif::tool
