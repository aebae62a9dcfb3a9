// memif replay: sends the packets of a capture.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include <memif/memif.hpp>

#include "capture_reader.hpp"
#include "command.hpp"
#include "output.hpp"
#include "packets.hpp"
#include "replay_rewrite.hpp"
#include "session.hpp"
#include "units.hpp"
#include "whole_number.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr std::size_t burst_packets = 64;

struct ReplayOptions {
  PortOptions port;
  std::string file, packet_rate, bit_rate, stall = "1s", source_mac, destination_mac;
  std::vector<std::string> addresses;
  bool topspeed = false, json = false;
  std::uint64_t loops = 1;
};

// When each packet is due, counted from the first.
class Pace {
 public:
  explicit Pace(const ReplayOptions& options) {
    if (!options.packet_rate.empty()) per_packet_ = 1e9 / positive(parse_packet_rate(options.packet_rate), "--pps");
    if (!options.bit_rate.empty()) per_byte_ = 8e9 / positive(parse_bit_rate(options.bit_rate), "--mbps");
    recorded_ = !options.topspeed && per_packet_ == 0 && per_byte_ == 0;
  }

  nanoseconds due(CaptureTime time) {
    if (!recorded_) return nanoseconds(std::llround(due_));
    // Gaps are added up, so that a loop continues where the one before ended; a clock that was set back is no gap.
    const auto ns = time.time_since_epoch().count();
    if (last_ && ns > *last_) recorded_due_ += nanoseconds(ns - *last_);
    last_ = ns;
    return recorded_due_;
  }
  void passed(std::size_t size) { due_ += per_packet_ + per_byte_ * static_cast<double>(size); }
  void next_loop() { last_.reset(); }

 private:
  static double positive(double rate, const char* option) {
    if (rate <= 0) throw UsageError(fmt::format("{}: the rate must be more than 0", option));
    return rate;
  }

  double per_packet_ = 0, per_byte_ = 0;  // ns
  double due_ = 0;
  bool recorded_ = false;
  std::optional<std::int64_t> last_;
  nanoseconds recorded_due_{0};
};

class ReplayCommand {
 public:
  explicit ReplayCommand(const ReplayOptions& options)
      : options_(options), pace_(options), stall_(parse_duration(options.stall)), reader_(options.file) {
    if (options.loops != 1 && options.file == "-") throw UsageError("--loop needs a file, not standard input");
    check_port(options.port);
    reader_.require(options.port.config.mode);
    if (!options.source_mac.empty()) rewrite_.source = parse_mac(options.source_mac);
    if (!options.destination_mac.empty()) rewrite_.destination = parse_mac(options.destination_mac);
    for (const std::string& text : options.addresses) rewrite_.addresses.push_back(parse_address_map(text));
    if ((rewrite_.source || rewrite_.destination) && options.port.config.mode != Mode::ethernet)
      throw UsageError("only packets of mode ethernet have MAC addresses");
  }

  int run();

 private:
  bool load();
  void send_due(Port& port);
  void drain(Port& port);
  void give_up();
  void progress(bool last);
  void await_delivery(Session& session, Port& port);
  int finish(const Port& port);

  const ReplayOptions& options_;
  Pace pace_;
  nanoseconds stall_;
  CaptureReader reader_;
  Rewrite rewrite_;

  bool loaded_ = false;  // copy_ holds a packet that is to be sent
  bool finished_ = false;
  std::optional<std::string> damage_;  // of the capture: it cannot be read any further
  std::size_t size_ = 0;
  nanoseconds due_{0};
  Bytes copy_;
  std::uint64_t loop_ = 0, loop_packets_ = 0;
  std::uint64_t read_ = 0, sent_ = 0, bytes_ = 0, not_sent_ = 0, shortened_ = 0;
  std::optional<Clock::time_point> start_, stalled_;
  Clock::time_point end_{}, last_progress_{};
  std::size_t queue_ = 0;        // whose turn it is
  std::size_t full_queues_ = 0;  // in a row
  bool patient_ = true;          // not, after a packet was given up, until there is room again
  std::vector<Buffer> buffers_ = std::vector<Buffer>(burst_buffers);
};

// The next packet of the capture, ready to be sent; false when there are no more.
bool ReplayCommand::load() {
  if (loaded_) return true;
  while (!finished_) {
    std::optional<CapturedPacket> packet;
    try {
      packet = reader_.next();
    } catch (const CaptureDamaged& damage) {  // what comes before it is sent
      if (StopSignals::requested()) break;    // no damage: a signal ended the wait for a pipe
      damage_ = damage.what();
      finished_ = true;
      break;
    }
    if (!packet) {
      ++loop_;
      finished_ = loop_packets_ == 0 || (options_.loops != 0 && loop_ >= options_.loops);
      loop_packets_ = 0;
      if (!finished_) reader_ = CaptureReader(options_.file);
      pace_.next_loop();
      continue;
    }
    ++read_;
    ++loop_packets_;
    due_ = pace_.due(packet->time);
    pace_.passed(packet->data.size());
    if (packet->data.size() < packet->original_size) ++shortened_;
    if (packet->data.empty()) {  // memif has no empty packets
      ++not_sent_;
      continue;
    }
    size_ = packet->data.size();
    copy_.assign(packet->data.begin(), packet->data.end());
    if (!rewrite_.nothing()) rewrite_.apply(copy_, options_.port.config.mode);
    return loaded_ = true;
  }
  return false;
}

// Sends what is due, up to a burst, as far as there is room. The queues take turns.
void ReplayCommand::send_due(Port& port) {
  const std::size_t queues = port.config().tx_queues;
  TxBurst burst = port.tx(queue_).begin(buffers_);
  queue_ = (queue_ + 1) % queues;
  const auto now = Clock::now();
  if (!start_) start_ = now;
  std::size_t added = 0;
  std::uint64_t bytes = 0;
  while (added < burst_packets && load() && *start_ + due_ <= now) {
    if (!burst.add(static_cast<std::uint32_t>(size_))) break;
    burst.back().copy_from(std::as_bytes(std::span(copy_)));
    loaded_ = false;
    ++added;
    bytes += size_;
  }
  if (added != 0) {
    const std::size_t sent = burst.send();
    sent_ += sent;
    not_sent_ += added - sent;
    if (sent == added) bytes_ += bytes;
    stalled_.reset();
    full_queues_ = 0;
    patient_ = true;
    end_ = now;
  } else if (loaded_ && *start_ + due_ <= now && ++full_queues_ >= queues) {
    full_queues_ = 0;
    if (!stalled_) stalled_ = now;
    if (!patient_ || now - *stalled_ >= stall_) give_up();
  }
}

void ReplayCommand::give_up() {
  ++not_sent_;
  loaded_ = false;
  patient_ = false;
}

// What the peer sends is not for us, but must not fill its ring.
void ReplayCommand::drain(Port& port) {
  for (std::size_t queue = 0; queue < port.queues(); ++queue) port.rx(queue).receive(buffers_);
}

int ReplayCommand::run() {
  Session session;
  Port& port = session.add(options_.port);
  std::uint64_t links = 0;
  while (!session.stopped() && load()) {
    if (!port.up() && links != 0 && !options_.port.reconnect) break;
    if (!port.up() && !session.await_link(port)) break;
    links = port.links();
    send_due(port);
    drain(port);
    progress(false);
    if (!start_ || finished_) continue;
    const auto next = *start_ + due_;
    // While the ring is full nothing tells us of room: look again soon.
    const auto now = Clock::now();
    session.wait(loaded_ && next <= now && stalled_ ? now + 50us : next);
  }
  if (finished_ && !loaded_) await_delivery(session, port);
  progress(true);
  return finish(port);
}

// What lies in the ring when the link ends is lost: the peer gets time to take it. Only a client sees whether it did.
void ReplayCommand::await_delivery(Session& session, Port& port) {
  const auto deadline = Clock::now() + stall_;
  const auto all_taken = [&port] {
    for (std::size_t i = 0; i < port.config().tx_queues; ++i)
      if (TxQueue& tx = port.tx(i); tx.room() < tx.ring_size()) return false;
    return true;
  };
  while (port.config().role == Role::client && port.up() && !session.stopped() && Clock::now() < deadline &&
         !all_taken()) {
    drain(port);
    session.wait(Clock::now() + 1ms);
  }
  if (port.up()) session.linger();
}

void ReplayCommand::progress(bool last) {
  if (!terminal(STDERR_FILENO)) return;
  if (last) {
    fmt::print(stderr, "\r\x1b[K");
    return;
  }
  const auto now = Clock::now();
  if (!start_ || now < last_progress_ + 500ms) return;
  last_progress_ = now;
  const double seconds = std::chrono::duration<double>(now - *start_).count();
  std::string line = fmt::format("{} packets, {:.0f} a second", sent_, seconds > 0 ? double(sent_) / seconds : 0.0);
  const auto part = reader_.part_read();
  if (part && options_.loops != 0) {
    const double done = (static_cast<double>(loop_) + *part) / static_cast<double>(options_.loops);
    if (done > 0 && done <= 1)
      line += fmt::format(", {:.0f} %, {} left", done * 100,
                          format_duration(nanoseconds(std::llround(seconds * (1 / done - 1) * 1e9))));
  }
  fmt::print(stderr, "\r\x1b[K{}", line);
}

// Packets, over all connections.
std::vector<std::uint64_t> sent_by_queue(const Port& port) {
  std::vector<std::uint64_t> sent;
  for (std::size_t i = 0; i < port.config().tx_queues; ++i)
    sent.push_back(port.interface().tx(i).counters().packets.get());
  return sent;
}

int ReplayCommand::finish(const Port& port) {
  if (loaded_) ++not_sent_;
  const bool stopped = StopSignals::requested();
  const bool complete = finished_ && !damage_;
  const double seconds = start_ ? std::chrono::duration<double>(end_ - *start_).count() : 0.0;
  const double rate = seconds > 0 ? static_cast<double>(sent_ > 0 ? sent_ - 1 : 0) / seconds : 0.0;
  if (options_.json) {
    print_json({{"schema", "memif-replay/1"},
                {"read", read_},
                {"sent", sent_},
                {"sent_by_queue", sent_by_queue(port)},
                {"bytes", bytes_},
                {"not_sent", not_sent_},
                {"shortened", shortened_},
                {"loops", loop_},
                {"complete", complete},
                {"duration_s", seconds},
                {"rate_pps", rate}});
  } else {
    print_line(fmt::format("{} packets sent, {} bytes, in {:.3f} s, {:.0f} packets a second; {} not sent", sent_,
                           bytes_, seconds, rate, not_sent_));
    if (read_ == 0 && complete) notice(fmt::format("{} has no packets", options_.file));
    if (shortened_ != 0) notice(fmt::format("{} packets are shorter in the capture than they were", shortened_));
  }
  if (damage_) {
    complain(*damage_);
    return exit_failed;
  }
  if (stopped || (complete && not_sent_ == 0)) return exit_done;
  if (!port.up() && !finished_)
    complain(fmt::format("the link on {} is down: {} (--reconnect goes on when the peer returns)",
                         port_name(port.config()), port.why_down()));
  else
    complain(fmt::format("{} packets could not be sent: no room in the ring (see --stall), or empty", not_sent_));
  return exit_failed;
}

}  // namespace

void add_replay(CLI::App& app, Action& action) {
  auto options = std::make_shared<ReplayOptions>();
  CLI::App* command = app.add_subcommand("replay", "send the packets of a pcap or pcapng file");
  command->add_option("FILE", options->file, "the capture, or - for standard input")->required()->type_name("");
  CLI::Option* pps = command->add_option("--pps", options->packet_rate, "packets a second, such as 1000000 or 1Mpps")
                         ->type_name("RATE");
  CLI::Option* bits = command
                          ->add_option_function<std::string>(
                              "--mbps",
                              [options](const std::string& text) {
                                const bool plain = text.find_first_not_of("0123456789.") == std::string::npos;
                                options->bit_rate = plain ? text + "M" : text;
                              },
                              "megabits a second, or a bit rate such as 5Gbit/s; counts the bytes that are sent")
                          ->type_name("RATE");
  CLI::Option* top = command->add_flag("--topspeed", options->topspeed, "as fast as the peer takes them");
  pps->excludes(bits)->excludes(top);
  bits->excludes(top);
  command->add_option("--loop", options->loops, "send the file so many times; 0: for ever")
      ->transform(whole_number())
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--source-mac", options->source_mac, "replace the source MAC address")->type_name("MAC");
  command->add_option("--destination-mac", options->destination_mac, "replace the destination MAC address")
      ->type_name("MAC");
  command
      ->add_option("--map-address", options->addresses,
                   "replace IP addresses or networks, OLD=NEW or OLD/24=NEW/24; checksums stay right; may be given "
                   "several times")
      ->type_name("OLD=NEW")
      ->allow_extra_args(false);
  command->add_option("--stall", options->stall, "how long to wait for room in a full ring before packets are given up")
      ->capture_default_str()
      ->type_name("DURATION");
  command->add_flag("--json", options->json, "print one JSON object");
  add_port_options(*command, options->port);
  command->footer(
      "Without a rate, packets are sent at the pace at which they were captured. Packets longer than a buffer are\n"
      "sent in several buffers; the queues take turns, burst by burst. What the peer sends meanwhile is dropped.\n"
      "Example: memif replay --port memif:@lab,role=client --pps 1000000 --loop 10 in.pcapng");
  command->callback([&action, options] { action = [options] { return ReplayCommand(*options).run(); }; });
}

}  // namespace memif::tool
