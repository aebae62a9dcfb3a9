// The memif command: finds the subcommand and runs it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <sstream>
#include <string>

#include "app.hpp"
#include "output.hpp"
#include "program.hpp"

namespace {

using namespace memif::tool;

int run(int argc, char** argv) {
  CLI::App app;
  Action action;
  build_app(app, action);
  if (argc > 1 && argv[1][0] != '-') {
    const auto commands = app.get_subcommands(std::function<bool(CLI::App*)>());
    const auto named = [name = std::string(argv[1])](const CLI::App* command) { return command->get_name() == name; };
    if (std::none_of(commands.begin(), commands.end(), named))
      throw UsageError(std::string("there is no command '") + argv[1] + "'");
    set_command_name(std::string("memif ") + argv[1]);
  }
  return parse_arguments(app, argc, argv) ? action() : exit_done;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program([=] { return run(argc, argv); });
}
