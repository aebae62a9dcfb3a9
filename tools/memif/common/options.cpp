#include "common/options.hpp"

#include <CLI/CLI.hpp>
#include <sstream>
#include <sys/types.h>
#include <vector>

#include "common/command.hpp"
#include "common/output.hpp"
#include "common/units.hpp"

namespace memif::tool {

Option& Option::required() {
  option_->required();
  return *this;
}

Option& Option::type_name(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Option& Option::group(const std::string& name) {
  option_->group(name);
  return *this;
}

Option& Option::default_str(const std::string& text) {
  option_->default_str(text);
  return *this;
}

Option& Option::capture_default_str() {
  option_->capture_default_str();
  return *this;
}

Option& Option::excludes(const Option& other) {
  option_->excludes(other.option_);
  return *this;
}

Option& Option::expected(int min, int max) {
  option_->expected(min, max);
  return *this;
}

Option& Option::one_value_each() {
  option_->allow_extra_args(false);
  return *this;
}

Option& Option::delimiter(char character) {
  option_->delimiter(character);
  return *this;
}

Option& Option::first_counts() {
  option_->multi_option_policy(CLI::MultiOptionPolicy::TakeFirst);
  return *this;
}

Option& Option::whole_number(std::uint64_t min, std::uint64_t max) {
  const auto read = [min, max](std::string& text) -> std::string {
    try {
      text = std::to_string(parse_number(text, min, max));
      return {};
    } catch (const UsageError& error) {
      return error.what();
    }
  };
  option_->transform(CLI::Validator(read, ""));
  return *this;
}

Option& Option::check(const std::function<std::string(const std::string&)>& check) {
  option_->check(check);
  return *this;
}

Option& Option::each(const std::function<void(const std::string&)>& each) {
  option_->each(each);
  return *this;
}

Command Command::add_subcommand(const std::string& name, const std::string& summary) {
  return Command(*app_->add_subcommand(name, summary));
}

bool Command::has_subcommand(const std::string& name) const {
  return !app_->get_subcommands([&name](const CLI::App* command) { return command->get_name() == name; }).empty();
}

Command& Command::require_subcommand() {
  app_->require_subcommand(1);
  return *this;
}

Command& Command::version_flag(const std::string& text) {
  app_->set_version_flag("--version", text);
  return *this;
}

Command& Command::footer(const std::string& text) {
  app_->footer(text);
  return *this;
}

Command& Command::callback(const std::function<void()>& chosen) {
  app_->callback(chosen);
  return *this;
}

template <class Value>
Option Command::add_option(const std::string& names, Value& value, const std::string& help) {
  return Option(*app_->add_option(names, value, help));
}

template Option Command::add_option(const std::string&, std::string&, const std::string&);
template Option Command::add_option(const std::string&, std::vector<std::string>&, const std::string&);
template Option Command::add_option(const std::string&, std::uint64_t&, const std::string&);
template Option Command::add_option(const std::string&, std::vector<unsigned>&, const std::string&);
template Option Command::add_option(const std::string&, std::vector<pid_t>&, const std::string&);
template Option Command::add_option(const std::string&, pid_t&, const std::string&);

template <class Value>
Option Command::add_option_function(const std::string& names, const std::function<void(const Value&)>& set,
                                    const std::string& help) {
  return Option(*app_->add_option_function(names, set, help));
}

template Option Command::add_option_function(const std::string&, const std::function<void(const std::string&)>&,
                                             const std::string&);
template Option Command::add_option_function(const std::string&,
                                             const std::function<void(const std::vector<std::string>&)>&,
                                             const std::string&);

Option Command::add_flag(const std::string& names, unsigned& times, const std::string& help) {
  return Option(*app_->add_flag_function(
      names, [&times](std::int64_t count) { times = static_cast<unsigned>(count); }, help));
}

Option Command::add_flag(const std::string& names, bool& value, const std::string& help) {
  return Option(*app_->add_flag(names, value, help));
}

Option Command::add_flag(const std::string& names, const std::string& help) {
  return Option(*app_->add_flag(names, help));
}

Option Command::get_option(const std::string& name) { return Option(*app_->get_option(name)); }

bool Command::parse(int argc, const char* const* argv) {
  try {
    app_->parse(argc, argv);
    return true;
  } catch (const CLI::Success& asked) {  // --help, --version
    std::ostringstream text;
    app_->exit(asked, text, text);
    print(text.str());
    return false;
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
}

CommandLine::CommandLine(const std::string& name, const std::string& about)
    : CommandLine(std::make_unique<CLI::App>(about, name)) {}

CommandLine::CommandLine(std::unique_ptr<CLI::App> app) : Command(*app), owned_(std::move(app)) {}

CommandLine::CommandLine(CommandLine&&) noexcept = default;
CommandLine::~CommandLine() = default;

}  // namespace memif::tool
