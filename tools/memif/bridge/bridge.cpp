// memif bridge: joins memifs, TAPs, network interfaces and capture files.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include <memif/observe.hpp>
#include <memif/pool.hpp>

#include "bridge/switch.hpp"
#include "common/command.hpp"
#include "common/options.hpp"
#include "common/output.hpp"
#include "common/stop.hpp"
#include "common/units.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using Time = BridgePort::Time;

struct BridgeOptions {
  std::vector<std::string> words;
  std::string age = "300s", interval, time;
  bool json = false, pool = false;
};

std::optional<std::chrono::nanoseconds> period(const char* option, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto value = parse_duration(text);
  if (value <= 0ns) throw UsageError(fmt::format("{}: '{}' is not longer than 0", option, text));
  return value;
}

bool same_file(const std::string& a, const std::string& b) {
  std::error_code not_there;
  return a == b || std::filesystem::equivalent(a, b, not_there);
}

// A capture that is written is another file than all that are read, under whatever name, and than all others written.
void check_captures(const std::vector<BridgeWord>& words) {
  std::vector<std::string> read, written;
  for (const BridgeWord& word : words)
    if (const auto* pcap = std::get_if<PcapOptions>(&word)) {
      if (!pcap->in.empty()) read.push_back(pcap->in);
      if (!pcap->out.empty()) written.push_back(pcap->out);
    }
  for (auto out = written.begin(); out != written.end(); ++out) {
    const auto same = [out](const std::string& other) { return same_file(*out, other); };
    if (std::any_of(read.begin(), read.end(), same))
      throw UsageError(fmt::format("out={} would overwrite a file that is read", *out));
    if (std::any_of(written.begin(), out, same)) throw UsageError(fmt::format("out={} is given twice", *out));
  }
}

// One pool for all memif ports. Only clients can share one: a server's buffers are its client's.
void share_pool(std::vector<BridgeWord>& words) {
  std::vector<InterfaceConfig*> ports;
  for (BridgeWord& word : words)
    if (auto* port = std::get_if<PortOptions>(&word)) ports.push_back(&port->config);
  PoolConfig pool{.buffers = 0, .buffer_size = 0};
  for (const InterfaceConfig* config : ports) {
    if (config->role == Role::server)
      throw UsageError(fmt::format(
          "--pool: {} is a server, whose buffers are its client's; make it role=client, and its peer the server",
          port_name(*config)));
    pool.buffers += 2 * Pool::buffers_for(*config);  // a link that returns takes as many before the last one's are back
    pool.buffer_size = std::max(pool.buffer_size, config->buffer_size);
  }
  if (ports.size() < 2) throw UsageError("--pool: only two memif ports or more can share buffers");
  auto made = Pool::create(pool);
  if (!made)
    throw Failure(made.error().code == Errc::invalid_config ? exit_usage : exit_failed,
                  "--pool: " + made.error().message);
  for (InterfaceConfig* config : ports) {
    config->pool = *made;
    config->buffer_size = pool.buffer_size;
  }
}

class BridgeCommand {
 public:
  explicit BridgeCommand(const BridgeOptions& options);
  int run();

 private:
  // What a memif port's words say of its link.
  struct Demand {
    BridgePort* port;
    std::optional<std::chrono::nanoseconds> wait;  // for the peer; nothing: no limit
    bool once;                                     // the bridge ends with the link
    bool met = false;
    bool told = false;  // why there is no link
  };

  void open(const PortOptions& options) {
    ports_.push_back(open_port(options, context_));
    demands_.push_back({ports_.back().get(), options.wait, !options.reconnect});
  }
  void open(const PcapOptions& options) {
    ports_.push_back(open_port(options));
    replays_ = replays_ || !options.in.empty();
  }
  template <class Options>
  void open(const Options& options) {
    ports_.push_back(open_port(options));
  }

  bool await_links();
  void tell_what_is_missing(Time now);
  bool control(Time now);
  void sleep(Time until);
  void report(Time now, bool last);

  bool json_;
  std::optional<std::chrono::nanoseconds> interval_, time_;
  Context context_{{.app_name = "memif", .publish = publishing_wanted()}};
  StopSignals signals_{context_};
  std::vector<Demand> demands_;
  bool replays_ = false;
  Switch::Ports ports_;
  Switch switch_;
  std::vector<BridgeCounters> reported_;  // by port, as of the last interval
  Time start_ = steady_clock::now(), last_report_ = start_, last_control_ = start_;
  Time end_ = Time::max(), next_report_ = Time::max();
  std::vector<pollfd> descriptors_;
};

BridgeCommand::BridgeCommand(const BridgeOptions& options)
    : json_(options.json),
      interval_(period("--interval", options.interval)),
      time_(period("--time", options.time)),
      switch_(ports_, period("--age", options.age).value_or(300s)) {
  if (options.words.size() < 2) throw UsageError("a bridge needs two ports or more");
  std::vector<BridgeWord> words;  // all are understood before anything is created
  for (const std::string& word : options.words) words.push_back(parse_bridge_word(word));
  check_captures(words);
  if (options.pool) share_pool(words);
  for (const BridgeWord& word : words) std::visit([this](const auto& port) { open(port); }, word);
  reported_.resize(ports_.size());
}

int BridgeCommand::run() {
  notice(fmt::format("joining {} ports as a {}", ports_.size(), ports_.size() == 2 ? "wire" : "learning switch"));
  if (await_links()) {
    start_ = last_report_ = steady_clock::now();
    if (time_) end_ = start_ + *time_;
    if (interval_) next_report_ = start_ + *interval_;
    std::chrono::nanoseconds spin(0);
    for (const auto& port : ports_) spin = std::max(spin, port->spin());
    Time busy = start_;
    for (Time now = start_; !StopSignals::requested() && now < end_; now = steady_clock::now()) {
      if (now - last_control_ >= control_period && !control(now)) break;
      if (switch_.run(now))
        busy = now;
      else if (now - busy >= spin)
        sleep(std::min(end_, next_report_));
    }
  }
  for (const auto& port : ports_) port->finish();
  report(steady_clock::now(), true);
  return exit_done;
}

// Frames of a capture file are sent once, so somebody should be there.
bool BridgeCommand::await_links() {
  for (;;) {
    if (StopSignals::requested()) return false;
    const Time now = steady_clock::now();
    bool waiting = false;
    for (Demand& demand : demands_) {
      if ((replays_ ? demand.port->ready() : demand.port->up()) || (!demand.wait && !replays_)) continue;
      waiting = true;
      if (demand.wait && now >= start_ + *demand.wait && !demand.port->up()) {
        const std::string why = demand.port->why_down();
        throw Failure(exit_no_peer, fmt::format("no peer on {} within {}{}{}", demand.port->name(),
                                                format_duration(*demand.wait), why.empty() ? "" : ": ", why));
      }
    }
    if (!waiting) return true;
    tell_what_is_missing(now);
    context_.poll(20ms);
  }
}

// A client that cannot connect goes on trying, but whoever waits should know why.
void BridgeCommand::tell_what_is_missing(Time now) {
  for (Demand& demand : demands_) {
    if (demand.met || demand.told || demand.port->up() || now < start_ + long_wait) continue;
    const std::string why = demand.port->why_down();
    if (why.empty()) continue;
    demand.told = true;
    notice(fmt::format("no peer yet on {}: {}; still waiting", demand.port->name(), why));
  }
}

// Links, reports; false when the bridge is to end.
bool BridgeCommand::control(Time now) {
  context_.poll(0ms);
  last_control_ = now;
  tell_what_is_missing(now);
  if (now >= next_report_) {
    report(now, false);
    next_report_ += *interval_ * ((now - next_report_) / *interval_ + 1);
  }
  return std::none_of(demands_.begin(), demands_.end(), [](Demand& demand) {
    const bool gone = demand.once && demand.met && !demand.port->up();
    demand.met = demand.met || demand.port->up();
    return gone;
  });
}

// One system call on everything that can wake the bridge. The descriptors are collected anew each time, since each link
// brings its own.
void BridgeCommand::sleep(Time until) {
  descriptors_.assign(1, {context_.fd(), POLLIN, 0});
  std::size_t armed = 0;
  bool idle = true;
  for (; idle && armed < ports_.size(); ++armed) {
    idle = ports_[armed]->arm(descriptors_);
    until = std::min(until, ports_[armed]->due());
  }
  if (idle) {
    const auto left = std::max<std::chrono::nanoseconds>(until - steady_clock::now(), 0ns);
    const auto whole = std::chrono::floor<std::chrono::seconds>(left);
    const timespec timeout{static_cast<time_t>(whole.count()), static_cast<long>((left - whole).count())};
    ::ppoll(descriptors_.data(), descriptors_.size(), until == Time::max() ? nullptr : &timeout, nullptr);
    if (descriptors_.front().revents != 0) last_control_ = Time{};  // see to it at once
  }
  while (armed != 0) ports_[--armed]->disarm();
}

nlohmann::ordered_json json(const BridgePort& port, const BridgeCounters& since) {
  const BridgeCounters& now = port.counters();
  return {{"name", port.name()},
          {"up", port.up()},
          {"rx_packets", now.rx_packets - since.rx_packets},
          {"rx_bytes", now.rx_bytes - since.rx_bytes},
          {"rx_dropped", now.rx_dropped - since.rx_dropped},
          {"tx_packets", now.tx_packets - since.tx_packets},
          {"tx_bytes", now.tx_bytes - since.tx_bytes},
          {"tx_exchanged", now.tx_exchanged - since.tx_exchanged},
          {"tx_dropped", now.tx_dropped - since.tx_dropped}};
}

std::string text(const BridgePort& port, const BridgeCounters& since, double elapsed) {
  const BridgeCounters& now = port.counters();
  const auto mbps = [elapsed](std::uint64_t bytes) { return static_cast<double>(bytes) * 8 / 1e6 / elapsed; };
  return fmt::format("{}: {} in ({:.1f} Mbit/s, {} dropped), {} out ({:.1f} Mbit/s, {} dropped)", port.name(),
                     now.rx_packets - since.rx_packets, mbps(now.rx_bytes - since.rx_bytes),
                     now.rx_dropped - since.rx_dropped, now.tx_packets - since.tx_packets,
                     mbps(now.tx_bytes - since.tx_bytes), now.tx_dropped - since.tx_dropped);
}

// What passed since the last report; in the end, since the start.
void BridgeCommand::report(Time now, bool last) {
  const auto elapsed = std::chrono::duration<double>(now - (last ? start_ : std::exchange(last_report_, now))).count();
  auto list = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    const BridgePort& port = *ports_[i];
    const BridgeCounters since = last ? BridgeCounters{} : std::exchange(reported_[i], port.counters());
    if (json_)
      list.push_back(json(port, since));
    else
      print_line(text(port, since, std::max(elapsed, 1e-9)));
  }
  if (json_)
    print_json({{"schema", "memif-bridge/1"},
                {"kind", last ? "total" : "interval"},
                {"seconds", elapsed},
                {"addresses", switch_.table().size()},
                {"address_moves", switch_.table().moves()},
                {"ports", list}},
               interval_ ? -1 : 2);
  flush_output();
}

}  // namespace

void add_bridge(Command app, Action& action) {
  auto options = std::make_shared<BridgeOptions>();
  Command command = app.add_subcommand("bridge", "join memifs, TAPs, network interfaces and capture files");
  command.add_option("PORT", options->words, bridge_word_help()).type_name(bridge_word_values()).required();
  command.add_option("--age", options->age, "forget an address not seen for so long (with three ports or more)")
      .type_name("DURATION")
      .capture_default_str();
  command.add_option("-i,--interval", options->interval, "report what passed this often").type_name("DURATION");
  command.add_option("-t,--time", options->time, "end after so long").type_name("DURATION");
  command.add_flag("--pool", options->pool,
                   "the memif ports, all of them clients, share their buffers: frames from one to another are not "
                   "copied, and each of their peers can read and write the frames of all");
  command.add_flag("--json", options->json, "reports as JSON: one object, or one a line with --interval");
  command.footer(
      "Two ports are a wire, more are a learning switch. Ends on Ctrl+C; a TAP that it made goes with it.\n"
      "A TAP needs CAP_NET_ADMIN, a network interface (AF_XDP) needs root.\n"
      "Example: memif bridge memif:/run/vpp/memif.sock,id=3 tap:lab0,address=10.0.0.1/24");
  command.callback([&action, options] { action = [options] { return BridgeCommand(*options).run(); }; });
}

}  // namespace memif::tool
