#include "common/app.hpp"

#include <fmt/format.h>

namespace memif::tool {
namespace {

constexpr auto about =
    "Tools for memif, packet interfaces made of shared memory between programs such as VPP and DPDK.\n"
    "Results are on standard output, everything else on standard error.";

constexpr auto example = "memif ping --socket /run/vpp/memif.sock --source 192.168.1.1/24 192.168.1.2";

std::string epilogue() {
  std::string codes;
  for (const ExitMeaning& exit : exit_meanings)
    codes += fmt::format("{}{} {}", codes.empty() ? "" : ", ", static_cast<int>(exit.code), exit.meaning);
  return fmt::format("{}{}.\n{}{}", exit_codes_label, codes, example_label, example);
}

}  // namespace

std::string version_text() { return "memif " MEMIF_VERSION; }

CommandLine build_app(Action& action) {
  CommandLine app("memif", about);
  app.version_flag(version_text());
  app.require_subcommand();
  app.footer(epilogue());
  add_respond(app, action);
  add_ping(app, action);
  add_dump(app, action);
  add_info(app, action);
  add_bridge(app, action);
  add_replay(app, action);
  add_perf(app, action);
  add_top(app, action);
  add_metrics(app, action);
  return app;
}

}  // namespace memif::tool
