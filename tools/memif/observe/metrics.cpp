// memif metrics: the counters of running programs for Prometheus.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <memif/memif.hpp>

#include "common/command.hpp"
#include "common/options.hpp"
#include "common/output.hpp"
#include "common/stop.hpp"
#include "common/units.hpp"
#include "observe/metrics_server.hpp"
#include "observe/metrics_text.hpp"
#include "observe/observed.hpp"

namespace memif::tool {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct MetricsOptions {
  std::vector<pid_t> pids;
  std::string listen, file, interval = "15s";
  bool once = false;
};

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw Failure(exit_failed, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

// Readers find the old text or the new one, never a part: it is written beside and takes the old one's place.
void replace_file(const std::string& path, const std::string& text) {
  std::string part = path + ".XXXXXX";
  const Fd file(::mkostemp(part.data(), O_CLOEXEC));
  if (!file) fail("create a file beside", path);
  const bool written = write_all(file.get(), text) == text.size() &&
                       ::fchmod(file.get(), S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH) == 0 &&
                       std::rename(part.c_str(), path.c_str()) == 0;
  if (written) return;
  const int error = errno;
  ::unlink(part.c_str());
  errno = error;
  fail("write", path);
}

class MetricsCommand {
 public:
  explicit MetricsCommand(const MetricsOptions& options)
      : options_(options), interval_(parse_duration(options.interval)) {
    if (interval_ < milliseconds(100))
      throw UsageError(fmt::format("--interval: '{}' is below 100ms", options.interval));
    if (options.once && !options.listen.empty()) throw UsageError("--once and --listen exclude each other");
  }

  int run();

 private:
  std::string text() const { return metrics_text(look(options_.pids)); }
  void serve();
  void wait(steady_clock::time_point until);

  const MetricsOptions& options_;
  std::chrono::nanoseconds interval_;
  Context context_;
  StopSignals signals_{context_};
  std::optional<MetricsServer> server_;
};

int MetricsCommand::run() {
  if (options_.once) {
    const std::string now = text();
    if (options_.file.empty())
      print(now);
    else
      replace_file(options_.file, now);
    return exit_done;
  }
  if (!options_.listen.empty() || options_.file.empty()) serve();
  auto next = steady_clock::now();
  while (!StopSignals::requested()) {
    if (!options_.file.empty() && steady_clock::now() >= next) {
      replace_file(options_.file, text());
      next = steady_clock::now() + interval_;
    }
    wait(options_.file.empty() ? steady_clock::time_point::max() : next);
  }
  return exit_done;
}

void MetricsCommand::serve() {
  server_.emplace(options_.listen.empty() ? "127.0.0.1:9728" : options_.listen, [this] { return text(); });
  notice(fmt::format("serving {}{}", server_->url(),
                     server_->loopback() ? "" : "; whoever can reach this address can read it"));
}

void MetricsCommand::wait(steady_clock::time_point until) {
  constexpr auto longest = milliseconds(60'000);
  auto timeout = longest;
  if (until != steady_clock::time_point::max())
    timeout = std::clamp(std::chrono::ceil<milliseconds>(until - steady_clock::now()), milliseconds(0), longest);
  if (server_)
    if (const auto within = server_->run_within()) timeout = std::min(timeout, *within);
  std::vector<pollfd> fds{{context_.fd(), POLLIN, 0}};
  if (server_) server_->watch(fds);
  ::poll(fds.data(), fds.size(), static_cast<int>(timeout.count()));
  if (fds[0].revents != 0) context_.poll(milliseconds(0));
  if (server_) server_->run();
}

}  // namespace

void add_metrics(Command app, Action& action) {
  auto options = std::make_shared<MetricsOptions>();
  Command command = app.add_subcommand("metrics", "serve the counters of running programs to Prometheus");
  add_pid_option(command, options->pids, "only these programs (default: all that publish and may be observed)");
  command.add_option("--listen", options->listen, "serve http://ADDRESS:PORT/metrics (default 127.0.0.1:9728)")
      .type_name("ADDRESS:PORT");
  command.add_option("--file", options->file, "write a file instead, for the node exporter's textfile collector")
      .type_name("PATH");
  command.add_option("--interval", options->interval, "how often the file is written (default 15s)")
      .type_name("DURATION");
  command.add_flag("--once", options->once, "write the file, or standard output, once and end");
  command.footer(
      "Shows programs that publish their counters: those of the C API and this command when they are started with\n"
      "MEMIF_PUBLISH=1, others by their own choice. With both --listen and --file it does both.\n"
      "Example: memif metrics --once");
  command.callback([&action, options] { action = [options] { return MetricsCommand(*options).run(); }; });
}

}  // namespace memif::tool
