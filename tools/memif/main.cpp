// The memif command: finds the subcommand, runs it, turns failures into messages and exit codes.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>

#include <memif/memif.hpp>

#include "app.hpp"
#include "output.hpp"

namespace {

using namespace memif::tool;

// Wrong usage: the message, and where to read more.
int report_usage(const std::string& message) {
  complain(message + " (see " + command_name() + " --help)");
  return exit_usage;
}

int run(CLI::App& app, const Action& action, int argc, char** argv) {
  if (argc > 1 && argv[1][0] != '-') {
    const auto commands = app.get_subcommands(std::function<bool(CLI::App*)>());
    const auto named = [name = std::string(argv[1])](const CLI::App* command) { return command->get_name() == name; };
    if (std::none_of(commands.begin(), commands.end(), named))
      return report_usage(std::string("there is no command '") + argv[1] + "'");
    set_command_name(std::string("memif ") + argv[1]);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return report_usage(error.what());
  }
  const int code = action();
  if (std::fflush(stdout) != 0) throw Failure(exit_failed, "cannot write to standard output");
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error, so that sockets and captures are closed in order
  try {
    CLI::App app;
    Action action;
    build_app(app, action);
    return run(app, action, argc, argv);
  } catch (const UsageError& error) {
    return report_usage(error.what());
  } catch (const Failure& failure) {
    complain(failure.what());
    return failure.code();
  } catch (const memif::Exception& error) {
    complain(error.what());
    return error.code() == memif::Errc::invalid_config ? exit_usage : exit_failed;
  } catch (const std::exception& error) {
    complain(error.what());
    return exit_failed;
  }
}
