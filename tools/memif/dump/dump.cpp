// memif dump: packets to the screen and to pcapng files.
#include "dump/dump.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <memif/memif.hpp>

#include "capture/feed.hpp"
#include "common/command.hpp"
#include "common/options.hpp"
#include "common/session.hpp"

namespace memif::tool {
namespace {

struct DumpOptions {
  CaptureOptions capture;
  std::vector<PortOptions> ports = std::vector<PortOptions>(1);
  std::vector<std::string> between;
  std::string read;
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
  if (options.between.empty()) return capture(options.capture, options.ports, Pass::nothing);
  std::vector<PortOptions> ports;
  for (const std::string& word : options.between) ports.push_back(parse_port_word(word));
  return capture(options.capture, ports, Pass::between);
}

void add_capture_options(Command command, CaptureOptions& options) {
  command.add_option("FILTER", options.filter, "which packets, as in pcap-filter(7): 'udp port 53'").type_name("");
  command.add_option("-c,--count", options.count, "end after so many packets").whole_number().type_name("N");
  command.add_option("-s,--snapshot-length", options.snap_length, "bytes kept of a packet; 0: all")
      .capture_default_str()
      .type_name("SIZE");
  command.add_option("-w,--write", options.file, "write a pcapng file, or to standard output (-)").type_name("FILE");
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
  command.add_flag("-e,--link", options.link, "show the link header: MAC addresses, type and length");
  command.add_flag("-x,--hex", options.hex, "show the bytes as well");
  command.add_flag("-q,--quiet", options.quiet, "no line for each packet, no progress");
  command.add_flag("--json", options.json, "print JSON: an object for each packet that is shown, and a summary");
}

}  // namespace

void add_dump(Command app, Action& action) {
  auto options = std::make_shared<DumpOptions>();
  Command command = app.add_subcommand("dump", "show packets, or write them to pcapng files");
  add_capture_options(command, options->capture);
  Option read =
      command
          .add_option("-r,--read", options->read, "read a pcap or pcapng file, or standard input (-), and no interface")
          .type_name("FILE");
  command
      .add_option("--between", options->between,
                  "stand between two peers: two ports, one towards each; what one sends is passed on to the other")
      .type_name("memif:PATH,...")
      .expected(2, 2)
      .excludes(read);
  add_port_options(command, options->ports);
  command.footer(
      "Plain numbers in -a and -b are seconds and bytes. Files of -b are named as dumpcap names them: out.pcapng\n"
      "becomes out_00001_20240229123456.pcapng. The interface is taken: its packets come here and nowhere else,\n"
      "but for --between.\n"
      "Example: memif dump --socket /tmp/p.sock -c 1000 -w out.pcapng 'udp port 53'");
  command.callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace memif::tool
