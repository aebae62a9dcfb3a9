// memif replay: sends the packets of a capture.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include <memif/memif.hpp>

#include "common/command.hpp"
#include "common/options.hpp"
#include "common/output.hpp"
#include "common/session.hpp"
#include "common/units.hpp"
#include "net/packets.hpp"
#include "replay/source.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr std::size_t burst_packets = 64;
constexpr auto long_pause = 10s;  // for the next packet: whoever waits should know

struct ReplayOptions {
  PortOptions port;
  ReplayPlan plan;
  std::string stall = "1s";
  bool json = false;
};

class ReplayCommand {
 public:
  explicit ReplayCommand(const ReplayOptions& options)
      : options_(options), stall_(parse_duration(options.stall)), source_(options.plan, options.port.config.mode) {
    check_port(options.port);
  }

  int run();

 private:
  void send_all(Session& session, Port& port);
  void send_due(Port& port);
  void drain(Port& port);
  void give_up();
  void tell_of_wait(nanoseconds left);
  void progress();
  void await_delivery(Session& session, Port& port);
  std::uint64_t not_sent() const { return lost_ + too_long_ + source_.empty() + (source_.loaded() ? 1 : 0); }
  void report(const Port& port) const;
  int exit_code(const Port& port) const;

  const ReplayOptions& options_;
  nanoseconds stall_;
  ReplaySource source_;

  std::uint64_t sent_ = 0, bytes_ = 0, lost_ = 0, too_long_ = 0;
  std::optional<Clock::time_point> start_, stalled_;
  Clock::time_point end_{}, last_progress_{};
  std::size_t queue_ = 0;        // whose turn it is
  std::size_t full_queues_ = 0;  // in a row
  bool patient_ = true;          // not, after a packet was given up, until there is room again
  std::uint64_t told_of_ = 0;    // the packet for which there was a long wait
  std::vector<Buffer> buffers_ = std::vector<Buffer>(burst_buffers);
};

// Sends what is there and due, up to a burst, as far as there is room. The queues take turns.
void ReplayCommand::send_due(Port& port) {
  if (!source_.load()) return;
  const std::size_t queues = std::max<std::size_t>(port.tx_queues(), 1);
  TxQueue& tx = port.tx(queue_);
  const bool all_free = tx.room() == tx.ring_size() && tx.up();  // before begin(): the peer makes room all the time
  TxBurst burst = tx.begin(buffers_);
  queue_ = (queue_ + 1) % queues;
  const auto now = Clock::now();
  if (!start_) start_ = now;
  std::size_t added = 0;
  std::uint64_t bytes = 0;
  while (added < burst_packets && source_.load() && *start_ + source_.due() <= now) {
    const Bytes& packet = source_.packet();
    if (!add_packet(burst, packet.size())) break;
    burst.back().copy_from(std::as_bytes(std::span(packet)));
    source_.take();
    ++added;
    bytes += packet.size();
  }
  if (added != 0) {
    const std::size_t sent = burst.send();
    sent_ += sent;
    lost_ += added - sent;
    if (sent == added) bytes_ += bytes;
    stalled_.reset();
    full_queues_ = 0;
    patient_ = true;
    end_ = now;
  } else if (!source_.loaded() || *start_ + source_.due() > now) {
    return;
  } else if (all_free) {  // and is not enough
    ++too_long_;
    source_.take();
  } else if (++full_queues_ >= queues) {
    full_queues_ = 0;
    if (!stalled_) stalled_ = now;
    if (!patient_ || now - *stalled_ >= stall_) give_up();
  }
}

void ReplayCommand::give_up() {
  ++lost_;
  source_.take();
  patient_ = false;
}

// What the peer sends is not for us, but must not fill its ring.
void ReplayCommand::drain(Port& port) {
  for (std::size_t queue = 0; queue < port.rx_queues(); ++queue) port.rx(queue).receive(buffers_);
}

int ReplayCommand::run() {
  Session session;
  Port& port = session.add(options_.port);
  try {
    send_all(session, port);
  } catch (const Failure& failure) {
    show_progress("");
    if (failure.code() == exit_no_peer && start_) report(port);  // it did not return
    throw;
  }
  if (source_.finished() && !source_.loaded()) await_delivery(session, port);
  show_progress("");
  report(port);
  return exit_code(port);
}

void ReplayCommand::send_all(Session& session, Port& port) {
  std::uint64_t links = 0;
  while (!session.stopped() && (source_.load() || !source_.finished())) {
    if (!port.up() && links != 0 && !options_.port.reconnect) break;
    if (!port.up() && !session.await_link(port)) break;
    links = port.links();
    send_due(port);
    drain(port);
    progress();
    if (!source_.load()) {
      if (!source_.finished()) session.wait(source_.waits() ? Clock::time_point::max() : Clock::now(), source_.fd());
      continue;
    }
    if (!start_) continue;  // the first came just now
    const auto next = *start_ + source_.due();
    // While the ring is full nothing tells us of room: look again soon.
    const auto now = Clock::now();
    tell_of_wait(next - now);
    session.wait(source_.loaded() && next <= now && stalled_ ? now + 50us : next);
  }
}

// Until the next packet is due. A capture may say that this is in years.
void ReplayCommand::tell_of_wait(nanoseconds left) {
  if (left < long_pause || std::exchange(told_of_, source_.read()) == source_.read()) return;
  const bool recorded = options_.plan.packet_rate.empty() && options_.plan.bit_rate.empty();
  notice(fmt::format("packet {} is due in {}, {}; waiting", source_.read(), format_duration(left),
                     recorded ? "by the times of the capture (--topspeed, --pps and --mbps pay no heed to them)"
                              : "at the rate that was asked for"));
}

// What lies in the ring when the link ends is lost: the peer gets time to take it. Only a client sees whether it did.
void ReplayCommand::await_delivery(Session& session, Port& port) {
  const auto deadline = Clock::now() + stall_;
  const auto all_taken = [&port] {
    for (std::size_t i = 0; i < port.tx_queues(); ++i)
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

void ReplayCommand::progress() {
  const auto now = Clock::now();
  if (!terminal(STDERR_FILENO) || !start_ || now < last_progress_ + 500ms) return;
  last_progress_ = now;
  const double seconds = std::chrono::duration<double>(now - *start_).count();
  std::string line = fmt::format("{} packets, {:.0f} a second", sent_, seconds > 0 ? double(sent_) / seconds : 0.0);
  if (const double done = source_.part_read().value_or(0); done > 0 && done <= 1) {
    const double left = std::min(seconds * (1 / done - 1) * 1e9, 0x1p62);
    line += fmt::format(", {:.0f} %, {} left", done * 100, format_duration(nanoseconds(std::llround(left))));
  }
  show_progress(line);
}

// Packets, over all connections.
std::vector<std::uint64_t> sent_by_queue(const Port& port) {
  std::vector<std::uint64_t> sent;
  for (std::size_t i = 0; i < port.most_tx_queues(); ++i)
    sent.push_back(port.interface().tx(i).counters().packets.get());
  return sent;
}

void ReplayCommand::report(const Port& port) const {
  const bool complete = source_.finished() && !source_.damage();
  const double seconds = sent_ != 0 ? std::chrono::duration<double>(end_ - *start_).count() : 0.0;
  const double rate = seconds > 0 ? static_cast<double>(sent_ > 0 ? sent_ - 1 : 0) / seconds : 0.0;
  if (options_.json) {
    print_json({{"schema", "memif-replay/1"},
                {"read", source_.read()},
                {"sent", sent_},
                {"sent_by_queue", sent_by_queue(port)},
                {"bytes", bytes_},
                {"not_sent", not_sent()},
                {"shortened", source_.shortened()},
                {"loops", source_.loops()},
                {"complete", complete},
                {"duration_s", seconds},
                {"rate_pps", rate}});
    return;
  }
  print_line(fmt::format("{} packets sent, {} bytes, in {:.3f} s, {:.0f} packets a second; {} not sent", sent_, bytes_,
                         seconds, rate, not_sent()));
  if (source_.read() == 0 && complete) notice(fmt::format("{} has no packets", options_.plan.file));
  if (source_.shortened() != 0)
    notice(fmt::format("{} packets are shorter in the capture than they were", source_.shortened()));
}

int ReplayCommand::exit_code(const Port& port) const {
  if (source_.damage()) {
    complain(*source_.damage());
    return exit_failed;
  }
  if (StopSignals::requested() || (source_.finished() && not_sent() == 0)) return exit_done;
  if (!port.up() && !source_.finished())
    complain(fmt::format("the link on {} is down: {} (--reconnect goes on when the peer returns)",
                         port_name(port.config()), port.why_down()));
  else
    complain(
        fmt::format("{} packets could not be sent: {} longer than the whole ring, {} empty, {} without room in time "
                    "(see --stall)",
                    not_sent(), too_long_, source_.empty(), not_sent() - too_long_ - source_.empty()));
  return exit_failed;
}

}  // namespace

void add_replay(Command app, Action& action) {
  auto options = std::make_shared<ReplayOptions>();
  Command command = app.add_subcommand("replay", "send the packets of a pcap or pcapng file");
  command.add_option("FILE", options->plan.file, "the capture, or - for standard input").required().type_name("");
  Option pps = command.add_option("--pps", options->plan.packet_rate, "packets a second, such as 1000000 or 1Mpps")
                   .type_name("RATE");
  Option bits = command
                    .add_option_function<std::string>(
                        "--mbps",
                        [options](const std::string& text) {
                          const bool plain = text.find_first_not_of("0123456789.") == std::string::npos;
                          options->plan.bit_rate = plain ? text + "M" : text;
                        },
                        "megabits a second, or a bit rate such as 5Gbit/s; counts the bytes that are sent")
                    .type_name("RATE");
  Option top = command.add_flag("--topspeed", options->plan.topspeed, "as fast as the peer takes them");
  pps.excludes(bits).excludes(top);
  bits.excludes(top);
  command.add_option("--loop", options->plan.loops, "send the file so many times; 0: forever")
      .whole_number()
      .capture_default_str()
      .type_name("N");
  command.add_option("--source-mac", options->plan.source_mac, "replace the source MAC address").type_name("MAC");
  command.add_option("--destination-mac", options->plan.destination_mac, "replace the destination MAC address")
      .type_name("MAC");
  command
      .add_option("--map-address", options->plan.addresses,
                  "replace IP addresses or networks, OLD=NEW or OLD/24=NEW/24; checksums stay right; may be given "
                  "several times")
      .type_name("OLD=NEW")
      .one_value_each();
  command.add_option("--stall", options->stall, "how long to wait for room in a full ring before packets are given up")
      .capture_default_str()
      .type_name("DURATION");
  command.add_flag("--json", options->json, "print one JSON object");
  add_port_options(command, options->port);
  command.footer(
      "Without a rate, packets are sent at the pace at which they were captured. Packets longer than a buffer are\n"
      "sent in several buffers; the queues take turns, burst by burst. What the peer sends meanwhile is dropped.\n"
      "Example: memif replay --port memif:@lab,role=client --pps 1000000 --loop 10 in.pcapng");
  command.callback([&action, options] { action = [options] { return ReplayCommand(*options).run(); }; });
}

}  // namespace memif::tool
