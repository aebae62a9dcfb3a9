// The memif command: finds the subcommand and runs it.
#include <string>

#include "common/app.hpp"
#include "common/output.hpp"
#include "common/program.hpp"

namespace {

using namespace memif::tool;

int run(int argc, char** argv) {
  Action action;
  CommandLine app = build_app(action);
  if (argc > 1 && argv[1][0] != '-') {
    if (!app.has_subcommand(argv[1])) throw UsageError(std::string("there is no command '") + argv[1] + "'");
    set_command_name(std::string("memif ") + argv[1]);
  }
  return app.parse(argc, argv) ? action() : exit_done;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program([=] { return run(argc, argv); });
}
