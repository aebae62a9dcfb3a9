// The memif command: finds the subcommand, runs it, turns failures into messages and exit codes.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>

#include <memif/memif.hpp>

#include "command.hpp"
#include "output.hpp"

namespace {

using namespace memif::tool;

constexpr auto about =
    "Tools for memif, packet interfaces made of shared memory between programs such as VPP and DPDK.\n"
    "Results are on standard output, everything else on standard error.";

constexpr auto epilogue =
    "Exit codes: 0 done, 1 failed while running, 2 wrong usage, 3 no peer, 4 a limit that was set was missed.\n"
    "Example: memif ping --socket /run/vpp/memif.sock --source 192.168.1.1/24 192.168.1.2";

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
    CLI::App app{about, "memif"};
    Action action;
    app.set_version_flag("--version", std::string("memif " MEMIF_VERSION));
    app.require_subcommand(1);
    app.footer(epilogue);
    add_respond(app, action);
    add_ping(app, action);
    add_dump(app, action);
    add_info(app, action);
    add_bridge(app, action);
    add_replay(app, action);
    add_perf(app, action);
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
