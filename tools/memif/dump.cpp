// memif dump: packets to the screen and to pcapng files.
#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdio>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include <memif/memif.hpp>

#include "capture_reader.hpp"
#include "command.hpp"
#include "describe.hpp"
#include "filter.hpp"
#include "output.hpp"
#include "packets.hpp"
#include "pcapng.hpp"
#include "session.hpp"
#include "units.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

constexpr auto flush_period = 100ms;

struct DumpOptions {
  PortOptions port;
  std::uint64_t count = 0;
  std::string snap_length = "65536", file, read;
  std::vector<std::string> stop_conditions, filter;
  bool hex = false, quiet = false;
};

// When to end by itself.
struct Limits {
  std::uint64_t packets = 0;    // 0: no limit
  std::uint64_t file_size = 0;  // bytes; 0: no limit
  std::optional<std::chrono::nanoseconds> duration;
};

Limits parse_limits(const DumpOptions& options) {
  Limits limits;
  limits.packets = options.count;
  for (const std::string& text : options.stop_conditions) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    const std::string key = text.substr(0, colon), value = text.substr(std::min(colon + 1, text.size()));
    if (key == "duration")
      limits.duration = parse_duration(value);
    else if (key == "packets")
      limits.packets = parse_number(value, 1, ~std::uint64_t{0});
    else if (key == "filesize")
      limits.file_size = parse_size(value);
    else
      throw UsageError(fmt::format("-a: '{}' is not duration:, packets: or filesize:", text));
  }
  if (limits.file_size != 0 && options.file.empty()) throw UsageError("-a filesize: needs a file (-w)");
  return limits;
}

std::size_t parse_snap_length(const std::string& text) {
  const std::uint64_t length = parse_size(text);
  return length == 0 ? max_packet : std::min<std::uint64_t>(length, max_packet);
}

CaptureTime capture_now() {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

std::string clock_text(CaptureTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto ns = (time - seconds).count();
  return fmt::format("{:%H:%M:%S}.{:06}", fmt::localtime(std::chrono::system_clock::to_time_t(seconds)), ns / 1000);
}

class DumpCommand {
 public:
  explicit DumpCommand(const DumpOptions& options)
      : options_(options),
        limits_(parse_limits(options)),
        snap_length_(parse_snap_length(options.snap_length)),
        expression_(fmt::format("{}", fmt::join(options.filter, " "))),
        filter_(expression_, options.port.config.mode),
        on_screen_(options.file.empty() && !options.quiet) {
    check_port(options.port);
    if (!options.file.empty())
      file_.emplace(
          options.file,
          pcapng::Description{pcapng::file_link_type(link_type(options.port.config.mode)),
                              static_cast<std::uint32_t>(snap_length_),
                              options.read.empty() ? port_name(options.port.config) : options.read, expression_});
  }

  int run();
  int read(CaptureReader& reader);

 private:
  bool reached_limit() const;
  bool capture(Port& port, std::size_t queue);
  void take(CaptureTime time, View packet, std::size_t total);
  void flush();
  void progress(bool last);
  std::uint64_t dropped(const Port& port) const;
  void finish(const Port& port);
  int exit_code(const Session& session, const Port& port) const;

  const DumpOptions& options_;
  Limits limits_;
  std::size_t snap_length_;
  std::string expression_;
  Filter filter_;
  bool on_screen_;
  std::optional<CaptureFile> file_;

  std::uint64_t received_ = 0, captured_ = 0;
  CaptureTime start_ = capture_now();
  Clock::time_point deadline_ = Clock::time_point::max();
  Clock::time_point last_flush_{}, last_progress_{};
  std::vector<Buffer> buffers_ = std::vector<Buffer>(burst_buffers);
  Bytes copy_ = Bytes(max_packet);
};

int DumpCommand::run() {
  Session session;
  Port& port = session.add(options_.port);
  std::uint64_t links = 0;
  while (!session.stopped() && !reached_limit()) {
    if (!port.up() && links != 0 && !options_.port.reconnect) break;
    if (!port.up() && !session.await_link(port)) break;
    links = port.links();
    if (limits_.duration && deadline_ == Clock::time_point::max()) deadline_ = Clock::now() + *limits_.duration;
    bool idle = true;
    for (std::size_t queue = 0; queue < port.queues() && !reached_limit(); ++queue)
      idle = !capture(port, queue) && idle;
    progress(false);
    const auto now = Clock::now();
    if (idle && now >= last_flush_ + flush_period) flush();
    session.wait(idle ? std::min(deadline_, now + flush_period) : now);
  }
  finish(port);
  return exit_code(session, port);
}

// From a file instead of an interface.
int DumpCommand::read(CaptureReader& reader) {
  Session session;
  if (limits_.duration) deadline_ = Clock::now() + *limits_.duration;
  while (!session.stopped() && !reached_limit()) {
    const auto packet = reader.next();
    if (!packet) break;
    ++received_;
    const View kept = packet->data.first(std::min(packet->data.size(), snap_length_));
    if (filter_.matches(packet->data, packet->original_size)) take(packet->time, kept, packet->original_size);
  }
  flush();
  notice(fmt::format("{} packets read, {} shown or written", received_, captured_));
  return exit_done;
}

bool DumpCommand::reached_limit() const {
  return (limits_.packets != 0 && captured_ >= limits_.packets) ||
         (limits_.file_size != 0 && file_->bytes() >= limits_.file_size) ||
         (deadline_ != Clock::time_point::max() && Clock::now() >= deadline_);
}

// One burst of a queue; false if there was none.
bool DumpCommand::capture(Port& port, std::size_t queue) {
  RxBurst burst = port.rx(queue).receive(buffers_);
  if (burst.empty()) return false;
  const CaptureTime time = capture_now();
  for (const Packet packet : burst) {
    if (reached_limit()) break;
    ++received_;
    // A filter may look further into the packet than what is kept of it.
    const std::size_t wanted = filter_.all() ? snap_length_ : max_packet;
    const View copy = copy_head(packet, std::span(copy_).first(wanted));
    const std::size_t total = packet.size();
    if (filter_.matches(copy, total)) take(time, copy.first(std::min(copy.size(), snap_length_)), total);
  }
  return true;
}

void DumpCommand::take(CaptureTime time, View packet, std::size_t total) {
  ++captured_;
  if (file_) file_->packet(time, packet, total);
  if (!on_screen_) return;
  print_line(fmt::format("{} {:>5} {}", clock_text(time), total, describe(packet, total, options_.port.config.mode)));
  if (options_.hex) print_line(hex_dump(packet));
}

void DumpCommand::flush() {
  if (file_) file_->flush();
  if (std::fflush(stdout) != 0) throw Failure(exit_failed, "cannot write to standard output");
  last_flush_ = Clock::now();
}

// A line that rewrites itself, where only a count can be seen.
void DumpCommand::progress(bool last) {
  if (on_screen_ || options_.quiet || !terminal(STDERR_FILENO)) return;
  if (last) {
    fmt::print(stderr, "\r");
  } else if (const auto now = Clock::now(); now >= last_progress_ + 500ms) {
    last_progress_ = now;
    fmt::print(stderr, "\r{} packets", captured_);
  }
}

std::uint64_t DumpCommand::dropped(const Port& port) const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < port.queues(); ++i) {
    const RxCounters& counters = port.rx(i).counters();
    sum += counters.dropped_descriptor.get() + counters.dropped_long.get();
  }
  return sum;
}

void DumpCommand::finish(const Port& port) {
  const CaptureTime end = capture_now();
  if (file_) {
    const std::uint64_t drops = dropped(port);
    file_->statistics(end, {start_, end, received_ + drops, drops, captured_});
  }
  flush();
  progress(true);
  const std::string all = filter_.all() ? std::string() : fmt::format("{} received by the filter, ", received_);
  notice(fmt::format("{}{} packets captured, {} dropped", all, captured_, dropped(port)));
}

int DumpCommand::exit_code(const Session& session, const Port& port) const {
  if (session.stopped() || reached_limit()) return exit_done;
  const std::string gone = fmt::format("the link on {} is down: {}", port_name(port.config()), port.why_down());
  if (limits_.packets == 0 && !limits_.duration) {
    notice(gone);
    return exit_done;
  }
  complain(gone + " (--reconnect goes on when the peer returns)");
  return exit_failed;
}

// The file says what its packets are; --mode has no part in it.
int read_capture(DumpOptions& options) {
  if (options.read == options.file && options.file != "-")
    throw UsageError("-w would overwrite the file that -r reads");
  CaptureReader reader(options.read);
  for (const Mode mode : {Mode::ethernet, Mode::ip, Mode::punt_inject})
    if (link_type(mode) == reader.link_type()) options.port.config.mode = mode;
  reader.require(options.port.config.mode);
  return DumpCommand(options).read(reader);
}

}  // namespace

void add_dump(CLI::App& app, Action& action) {
  auto options = std::make_shared<DumpOptions>();
  CLI::App* command = app.add_subcommand("dump", "show packets, or write them to a pcapng file");
  command->add_option("FILTER", options->filter, "which packets, as in pcap-filter(7): 'udp port 53'");
  command->add_option("-c,--count", options->count, "end after so many packets");
  command->add_option("-s,--snapshot-length", options->snap_length, "bytes kept of a packet; 0: all")
      ->capture_default_str();
  command->add_option("-w,--write", options->file, "write a pcapng file, or to standard output (-)");
  command->add_option("-r,--read", options->read,
                      "read a pcap or pcapng file, or standard input (-), and no interface");
  command
      ->add_option("-a,--autostop", options->stop_conditions,
                   "end after duration:TIME, packets:N or filesize:SIZE; may be given several times")
      ->allow_extra_args(false);
  command->add_flag("-x,--hex", options->hex, "show the bytes as well");
  command->add_flag("-q,--quiet", options->quiet, "no line for each packet, no progress");
  add_port_options(*command, options->port);
  command->footer(
      "Plain numbers in -a are seconds and bytes. The interface is taken: its packets come here and nowhere else.\n"
      "Example: memif dump --socket /tmp/p.sock -c 1000 -w out.pcapng 'udp port 53'");
  command->callback([&action, options] {
    action = [options] { return options->read.empty() ? DumpCommand(*options).run() : read_capture(*options); };
  });
}

}  // namespace memif::tool
