// memif top: the rings of running programs, live.
#include <algorithm>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>

#include <memif/memif.hpp>

#include "common/command.hpp"
#include "common/options.hpp"
#include "common/output.hpp"
#include "common/stop.hpp"
#include "common/units.hpp"
#include "observe/screen.hpp"
#include "observe/top_table.hpp"

namespace memif::tool {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::steady_clock;

constexpr auto no_publishers =
    "no program publishes anything (programs of the C API and this command do when they are started with "
    "MEMIF_PUBLISH=1, others by ContextConfig::publish)";

struct TopOptions {
  std::vector<pid_t> pids;
  std::string interval = "1s", sort = "packets";
  std::uint64_t count = 0;
  bool once = false, json = false;
};

TopOrder parse_order(const std::string& word) {
  constexpr std::string_view names[] = {"packets", "bits", "drops", "name"};
  const auto found = std::find(std::begin(names), std::end(names), word);
  if (found == std::end(names)) throw UsageError(fmt::format("--sort: '{}' is not packets, bits, drops or name", word));
  return static_cast<TopOrder>(found - std::begin(names));
}

std::chrono::nanoseconds parse_interval(const std::string& text) {
  const auto interval = parse_duration(text);
  if (interval < std::chrono::milliseconds(100)) throw UsageError(fmt::format("--interval: '{}' is below 100ms", text));
  return interval;
}

class TopCommand {
 public:
  explicit TopCommand(const TopOptions& options)
      : options_(options),
        order_(parse_order(options.sort)),
        interval_(parse_interval(options.interval)),
        count_(options.once ? 1 : options.count) {}

  int run();

 private:
  void refresh();
  void show();
  void print_json_line() const;
  std::vector<std::string> lines(std::size_t columns) const;
  bool wait();
  bool press(char key);

  const TopOptions& options_;
  TopOrder order_;
  std::chrono::nanoseconds interval_;
  std::uint64_t count_;
  Context context_;
  StopSignals signals_{context_};
  std::unique_ptr<Screen> screen_;
  RateMeter meter_;
  std::vector<ObservedInterface> seen_;
  std::uint64_t skipped_ = 0;
  std::vector<std::vector<QueueRates>> rates_;
  steady_clock::time_point last_{}, next_{};
  double seconds_ = 0;  // between the last two looks
};

// Rates want two looks: the first shows nothing but on a screen.
int TopCommand::run() {
  if (!options_.json && count_ == 0 && terminal(STDOUT_FILENO)) screen_ = std::make_unique<Screen>();
  refresh();
  if (seen_.empty() && screen_ == nullptr && options_.pids.empty()) throw Failure(exit_no_peer, no_publishers);
  if (screen_ != nullptr) show();
  for (std::uint64_t shown = 0; count_ == 0 || shown < count_; ++shown) {
    if (!wait()) break;
    refresh();
    show();
  }
  return exit_done;
}

void TopCommand::refresh() {
  Observation seen = look(options_.pids);
  seen_ = std::move(seen.interfaces);
  skipped_ = seen.skipped;
  const auto now = steady_clock::now();
  rates_ = meter_.measure(seen_, now);
  seconds_ = std::chrono::duration<double>(now - last_).count();
  last_ = now;
  next_ = now + interval_;
}

// False: to end. On a screen, keys are handled meanwhile.
bool TopCommand::wait() {
  while (!StopSignals::requested()) {
    const auto left = std::max<std::chrono::nanoseconds>(next_ - steady_clock::now(), std::chrono::nanoseconds(0));
    pollfd fds[] = {{context_.fd(), POLLIN, 0}, {screen_ != nullptr ? screen_->keys() : -1, POLLIN, 0}};
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec timeout{static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
    const int ready = ::ppoll(fds, 2, &timeout, nullptr);
    if (ready == 0) return true;
    if (ready > 0 && fds[0].revents != 0) context_.poll(std::chrono::milliseconds(0));
    if (ready > 0 && fds[1].revents != 0)
      if (const auto key = screen_->key(); key && !press(*key)) return false;
  }
  return false;
}

bool TopCommand::press(char key) {
  switch (key) {
    case 'q':
    case 'Q':
      return false;
    case 'p':
      order_ = TopOrder::packets;
      break;
    case 'b':
      order_ = TopOrder::bits;
      break;
    case 'd':
      order_ = TopOrder::drops;
      break;
    case 'n':
      order_ = TopOrder::name;
      break;
    default:
      return true;
  }
  show();
  return true;
}

void TopCommand::show() {
  if (options_.json) {
    print_json_line();
  } else if (screen_ != nullptr) {
    screen_->draw(lines(Screen::size().columns));
  } else {
    // Not for a screen: all columns, however long the lines.
    for (const std::string& one : lines(std::string::npos)) print_line(one);
    flush_output();
  }
}

std::vector<std::string> TopCommand::lines(std::size_t columns) const {
  const auto up = std::count_if(seen_.begin(), seen_.end(), [](const auto& one) { return one.connected; });
  std::vector<std::string> result{fmt::format("memif top  {:%H:%M:%S}  interfaces: {}, up: {}{}{}",
                                              fmt::localtime(std::time(nullptr)), seen_.size(), up,
                                              skipped_ != 0 ? fmt::format(", skipped: {}", skipped_) : "",
                                              screen_ ? "   sort: p)ackets b)its d)rops n)ame   q)uit" : "")};
  if (seen_.empty()) {
    result.emplace_back(no_publishers);
    return result;
  }
  for (std::string& row : top_table(seen_, rates_, order_, columns)) result.push_back(std::move(row));
  return result;
}

void TopCommand::print_json_line() const {
  Json interfaces = Json::array();
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    Json one = to_json(seen_[i]);
    for (std::size_t queue = 0; queue < rates_[i].size(); ++queue) {
      const QueueRates& rates = rates_[i][queue];
      if (queue < seen_[i].rx.size()) {
        one["rx"][queue]["packets_per_s"] = rates.rx.packets;
        one["rx"][queue]["bits_per_s"] = 8 * rates.rx.bytes;
      }
      if (queue < seen_[i].tx.size()) {
        one["tx"][queue]["packets_per_s"] = rates.tx.packets;
        one["tx"][queue]["bits_per_s"] = 8 * rates.tx.bytes;
      }
    }
    interfaces.push_back(std::move(one));
  }
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  print_json({{"schema", "memif-top/1"},
              {"time_unix_s", now.count()},
              {"interval_s", seconds_},
              {"interfaces", interfaces},
              {"skipped", skipped_}},
             -1);
  flush_output();
}

}  // namespace

void add_top(Command app, Action& action) {
  auto options = std::make_shared<TopOptions>();
  Command command = app.add_subcommand("top", "watch the rings of running programs: rates, occupancy, drops");
  add_pid_option(command, options->pids, "only these programs (default: all that publish and may be observed)");
  command.add_option("--interval", options->interval, "time between two looks, at least 100ms (default 1s)")
      .type_name("DURATION");
  command.add_option("--count", options->count, "end after so many intervals, and print them as text")
      .whole_number()
      .type_name("N");
  command.add_flag("--once", options->once, "the same as --count 1");
  command.add_option("--sort", options->sort, "packets, bits, drops or name (default packets)").type_name("KEY");
  command.add_flag("--json", options->json, "print one JSON object a line for each interval");
  command.footer(
      "Shows programs that publish their counters: those of the C API and this command when they are started with\n"
      "MEMIF_PUBLISH=1, others by their own choice. They are not slowed. Keys: p, b, d, n sort; q ends.\n"
      "Columns: USED is how much of the ring is filled; drops are packets with a bad descriptor, too long for the\n"
      "receiver, found the ring full, met a posted buffer that cannot be used, or were rejected by send.\n"
      "Example: memif top --once");
  command.callback([&action, options] { action = [options] { return TopCommand(*options).run(); }; });
}

}  // namespace memif::tool
