// memif dump: packets to the screen and to pcapng files.
#include "dump/dump.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <memif/memif.hpp>

#include "capture/feed.hpp"
#include "common/command.hpp"
#include "common/options.hpp"
#include "common/session.hpp"
#include "dump/tap.hpp"

namespace memif::tool {
namespace {

struct DumpOptions {
  CaptureOptions capture;
  std::vector<PortOptions> ports = std::vector<PortOptions>(1);
  std::vector<std::string> between;
  std::string read;
  TapChoice tap{.direction = "both"};
};

CaptureEnd copy(CaptureFeed& feed, CaptureSink& sink) {
  Session session;
  sink.start();
  while (!session.stopped()) {
    const auto next = feed.next();
    if (next == CaptureFeed::Next::end) return CaptureEnd::end_of_file;
    if (next == CaptureFeed::Next::later) {
      sink.tick();
      if (const auto end = sink.end()) return *end;
      session.wait(sink.next_tick(), feed.fd());
      continue;
    }
    const CapturedPacket& packet = feed.packet();
    const auto room = sink.room();
    const View kept = packet.data.first(std::min(packet.data.size(), room.size()));
    std::copy(kept.begin(), kept.end(), room.begin());
    sink.take(0, packet.time, kept.size(), packet.original_size);
    if (const auto end = sink.end()) return *end;
  }
  return CaptureEnd::signal;
}

// From a file instead of an interface. The file says what its packets are; --mode has no part in it.
int read_capture(const DumpOptions& options) {
  std::error_code no_file;
  if (!options.capture.file.empty() && std::filesystem::equivalent(options.read, options.capture.file, no_file))
    throw UsageError("-w would overwrite the file that -r reads");
  CaptureFeed feed(options.read);
  CaptureSink sink(options.capture, {{.name = options.read, .mode = feed.mode()}});
  try {
    const CaptureEnd end = copy(feed, sink);
    sink.close();
    sink.report(end);
  } catch (const CaptureDamaged&) {  // what comes before the damage is kept
    sink.close();
    throw;
  }
  return exit_done;
}

int run(const DumpOptions& options) {
  if (!options.read.empty()) return read_capture(options);
  if (options.tap.pid != 0) return tap(options.capture, options.tap);
  if (!options.tap.interfaces.empty() || !options.tap.queues.empty() || options.tap.keep_up)
    throw UsageError("--interface, --queue and --keep-up are for --pid");
  if (options.between.empty()) return capture(options.capture, options.ports, Pass::nothing);
  std::vector<PortOptions> ports;
  for (const std::string& word : options.between) ports.push_back(parse_port_word(word));
  return capture(options.capture, ports, Pass::between);
}

// Complains of a value that is none of these.
std::function<std::string(const std::string&)> one_of(std::vector<std::string> values) {
  return [values = std::move(values)](const std::string& value) {
    if (std::find(values.begin(), values.end(), value) != values.end()) return std::string();
    return "'" + value + "' is none of " + fmt::format("{}", fmt::join(values, ", "));
  };
}

void add_capture_options(Command command, CaptureOptions& options) {
  command.add_option("FILTER", options.filter, "which packets, as in pcap-filter(7): 'udp port 53'").type_name("");
  command.add_option("-c,--count", options.count, "end after so many packets").whole_number().type_name("N");
  command.add_option("-s,--snapshot-length", options.snap_length, "bytes kept of a packet; 0: all")
      .capture_default_str()
      .type_name("SIZE");
  command
      .add_option("-w,--write", options.file,
                  "write a file, or to standard output (-); compressed if its name ends in .gz or .zst")
      .type_name("FILE");
  command.add_option("-F,--format", options.format, "of the file: pcapng, or the older pcap")
      .type_name("pcapng|pcap")
      .check(one_of({"pcapng", "pcap"}))
      .capture_default_str();
  command.add_option("--compress", options.compression, "compress the file, whatever its name")
      .type_name("gzip|zstd|none")
      .check(one_of({"gzip", "zstd", "none"}));
  command
      .add_option("-a,--autostop", options.stop_conditions,
                  "end after duration:TIME, packets:N, filesize:SIZE (of all files) or files:N; may be repeated")
      .type_name("CONDITION")
      .one_value_each();
  command
      .add_option("-b,--ring", options.ring_conditions,
                  "begin the next file after duration:TIME, packets:N or filesize:SIZE; files:N keeps the last N; "
                  "may be repeated")
      .type_name("CONDITION")
      .one_value_each();
  command.add_flag("-q,--quiet", options.quiet, "no line for each packet, no progress");
  command.add_flag("--json", options.json, "print JSON: an object for each packet that is shown, and a summary");
}

// What is shown of packets, as tcpdump shows it.
void add_screen_options(Command command, CaptureOptions& options) {
  command.add_flag("-e,--link", options.link, "show the link header: MAC addresses, type and length");
  command.add_flag("-v,--verbose", options.verbose, "show the IP header: TTL, id, flags, length");
  command.add_flag("-x,--hex", options.hex, "show the bytes as well, without the link header; -xx: with it");
  command.add_flag("-X,--hex-ascii", options.hex_ascii, "the same with their characters; -XX: with the link header");
  command.add_flag("-A,--ascii", options.ascii, "the bytes as text; -AA: with the link header");
  command.add_flag(
      "-t", options.times,
      "no time; -tt: seconds since 1970; -ttt: since the packet before; -tttt: with the date; -ttttt: since "
      "the first packet");
  command.add_flag("-n", "names are never looked up, with or without this");
}

// Files in turn, as tcpdump has them.
void add_rotation_options(Command command, CaptureOptions& options) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
  command.add_option("-C", options.file_size, "begin the next file after so many millions of bytes: FILE, FILE1, FILE2")
      .type_name("N")
      .whole_number(1, most);
  command.add_option("-G", options.file_seconds, "begin the next file after so many seconds; FILE has a time: %H%M%S")
      .type_name("SECONDS")
      .whole_number(1, most);
  command.add_option("-W", options.file_count, "with -C, write so many files in turn; with -G alone, end after them")
      .type_name("N")
      .whole_number(1, most);
  command.add_option("-z", options.command, "run this with the name of each file of -C or -G that is complete")
      .type_name("COMMAND");
}

// The links of other programs. `not_with` are for captures of another kind.
void add_tap_options(Command command, TapChoice& options, const std::vector<Option>& not_with) {
  constexpr auto group = "Links of other programs";
  Option pid =
      command
          .add_option("--pid", options.pid,
                      "look at the links of this process, which publishes (MEMIF_PUBLISH=1), and take no interface")
          .type_name("PID")
          .whole_number(1, std::numeric_limits<pid_t>::max())
          .group(group);
  for (const Option& other : not_with) pid.excludes(other);
  command
      .add_option("--interface", options.interfaces,
                  "of its interfaces: a name, a socket, 'SOCKET id N', or that and a role; may be repeated")
      .type_name("INTERFACE")
      .one_value_each()
      .group(group);
  command.add_option("--direction", options.direction, "what the process receives, sends, or both")
      .type_name("rx|tx|both")
      .check(one_of({"rx", "tx", "both"}))
      .capture_default_str()
      .group(group);
  command.add_option("--queue", options.queues, "these queues only; may be repeated")
      .type_name("N")
      .delimiter(',')
      .whole_number(0, max_queues - 1)
      .group(group);
  command
      .add_flag("--keep-up", options.keep_up, "take processor time that other programs want, rather than miss packets")
      .group(group);
}

}  // namespace

void add_dump(Command app, Action& action) {
  auto options = std::make_shared<DumpOptions>();
  Command command = app.add_subcommand("dump", "show packets, or write them to pcapng files");
  add_capture_options(command, options->capture);
  add_screen_options(command, options->capture);
  add_rotation_options(command, options->capture);
  Option read =
      command
          .add_option("-r,--read", options->read, "read a pcap or pcapng file, or standard input (-), and no interface")
          .type_name("FILE");
  Option between =
      command
          .add_option("--between", options->between,
                      "stand between two peers: two ports, one towards each; what one sends is passed on to the other")
          .type_name("memif:PATH,...")
          .expected(2, 2)
          .excludes(read);
  add_port_options(command, options->ports);
  add_tap_options(command, options->tap, {read, between, command.get_option("--socket"), command.get_option("--port")});
  command.footer(
      "Plain numbers in -a and -b are seconds and bytes. Files of -b are named as dumpcap names them: out.pcapng\n"
      "becomes out_00001_20240229123456.pcapng. The interface is taken: its packets come here and nowhere else,\n"
      "but for --between and --pid.\n"
      "Example: memif dump --socket /tmp/p.sock -c 1000 -w out.pcapng 'udp port 53'");
  command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace memif::tool
