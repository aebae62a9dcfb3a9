// memif respond: a host that answers ARP, neighbour discovery and pings; or a mirror.
#include <array>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <memif/memif.hpp>

#include "common/command.hpp"
#include "common/options.hpp"
#include "common/output.hpp"
#include "common/session.hpp"
#include "net/packets.hpp"
#include "net/reassembly.hpp"
#include "net/responder.hpp"

namespace memif::tool {
namespace {

struct RespondOptions {
  PortOptions port;
  std::vector<std::string> addresses;
  std::string mac;
  std::optional<Reflect> reflect;
  std::uint64_t count = 0;
  bool json = false;
};

struct Totals {
  std::uint64_t received = 0, echoes = 0, resolutions = 0, reflected = 0, no_room = 0;
};

class RespondCommand {
 public:
  explicit RespondCommand(const RespondOptions& options)
      : options_(options),
        mac_(options.mac.empty() ? random_mac() : parse_mac(options.mac)),
        responder_(options.port.config.mode, mac_, addresses(options)) {}

  int run();

 private:
  static std::vector<AddressRange> addresses(const RespondOptions& options);

  // Whether the user's count is reached, with `more` on their way.
  bool done(std::uint64_t more = 0) const {
    return options_.count != 0 && totals_.echoes + totals_.reflected + more >= options_.count;
  }
  // An answer to a packet, or to the datagram that it completes.
  struct Reply {
    Answer answer;
    Bytes whole{};  // that datagram; empty: the packet
  };

  bool serve(Port& port, std::size_t queue);
  std::optional<Reply> answer(const Packet& packet);
  std::optional<Reply> assemble(const Packet& packet);
  void forward(RxBurst& burst, TxQueue& tx);
  void copy(const RxBurst& burst, TxQueue& tx);
  void count(const Answer& answer);
  void summary() const;

  const RespondOptions& options_;
  Mac mac_;
  Responder responder_;
  Totals totals_;
  std::vector<Buffer> received_ = std::vector<Buffer>(burst_buffers);
  std::vector<Buffer> sent_ = std::vector<Buffer>(burst_buffers);
  std::vector<std::optional<Reply>> answers_;  // of the packets of one burst
  Reassembler reassembler_;
  Bytes fragment_ = Bytes(max_packet);
};

std::vector<AddressRange> RespondCommand::addresses(const RespondOptions& options) {
  std::vector<AddressRange> result;
  for (const std::string& text : options.addresses) result.emplace_back(parse_prefix(text).address);
  if (result.empty() && !options.reflect) throw UsageError("an address is missing, such as 192.168.1.2/24");
  if (!result.empty() && options.reflect) throw UsageError("--reflect needs no address");
  return result;
}

int RespondCommand::run() {
  Session session;
  Port& port = session.add(options_.port);
  notice(fmt::format("{} on {} as {}{}", options_.reflect ? "reflecting" : "answering", port_name(port.config()),
                     memif::to_string(port.config().role),
                     port.config().mode == Mode::ethernet ? ", MAC " + to_string(mac_) : std::string()));
  std::uint64_t links = 0;
  bool told_up = false, idle = true;
  while (!session.stopped() && !done()) {
    if (told_up && (!port.up() || links != port.links())) notice(fmt::format("the link is down: {}", port.why_down()));
    told_up = told_up && port.up() && links == port.links();
    if (!port.up() && links != 0 && !options_.port.reconnect) break;
    try {
      if (!session.await_link(port)) break;
    } catch (const Failure&) {
      if (links != 0) summary();  // the peer did not return
      throw;
    }
    links = port.links();
    if (!std::exchange(told_up, true)) notice("the link is up");
    session.wait(idle ? Clock::time_point::max() : Clock::now());
    idle = true;
    for (std::size_t queue = 0; queue < port.rx_queues() && !done(); ++queue) idle = !serve(port, queue) && idle;
  }
  if (done()) session.linger();
  summary();
  return exit_done;
}

std::optional<RespondCommand::Reply> RespondCommand::answer(const Packet& packet) {
  std::array<std::uint8_t, head_size> room;
  const View head = copy_head(packet, room);
  const std::size_t size = packet.size();
  if (options_.reflect) return Reply{reflect(head, size, options_.port.config.mode, *options_.reflect)};
  if (const auto answer = responder_.answer(head, size)) return Reply{*answer};
  return responder_.fragment(head, size) ? assemble(packet) : std::nullopt;
}

// Only pings are answered that came in fragments (RFC 6980).
std::optional<RespondCommand::Reply> RespondCommand::assemble(const Packet& packet) {
  const View frame = copy_head(packet, fragment_);
  const std::size_t link_header = options_.port.config.mode == Mode::ethernet ? 14 : 0;
  const auto fragment = parse_fragment(frame.subspan(link_header));
  if (!fragment) return std::nullopt;
  const auto whole = reassembler_.add(frame.first(link_header), *fragment, Clock::now());
  const auto answer =
      whole ? responder_.answer(whole->first(std::min(whole->size(), head_size)), whole->size()) : std::nullopt;
  if (!answer || !answer->counts()) return std::nullopt;
  return Reply{*answer, Bytes(whole->begin(), whole->end())};
}

// One burst of a queue; false if there was none.
bool RespondCommand::serve(Port& port, std::size_t queue) {
  RxBurst burst = port.rx(queue).receive(received_);
  if (burst.empty()) return false;
  answers_.clear();
  bool same_size = true;
  std::uint64_t counted = 0;
  for (const Packet packet : burst) {
    ++totals_.received;
    auto& answered = answers_.emplace_back(answer(packet));
    if (done(counted)) answered.reset();
    counted += answered && answered->answer.counts() ? 1 : 0;
    same_size = same_size && answered && answered->answer.size == packet.size();
  }
  // A client's buffers are its own to write to, and change rings without a copy. A server's belong to the peer, which
  // may still need what it sent.
  if (same_size && port.config().role == Role::client)
    forward(burst, port.tx(queue));
  else
    copy(burst, port.tx(queue));
  return true;
}

void RespondCommand::forward(RxBurst& burst, TxQueue& tx) {
  std::size_t i = 0;
  for (const Packet packet : burst) {
    const Answer& answer = answers_[i++]->answer;
    packet.copy_from(std::as_bytes(std::span(answer.head).first(answer.rewritten)));
  }
  const std::size_t sent = tx.forward(burst);
  for (i = 0; i < sent; ++i) count(answers_[i]->answer);
  totals_.no_room += burst.size();
}

void RespondCommand::copy(const RxBurst& burst, TxQueue& tx) {
  TxBurst out = tx.begin(sent_);
  std::size_t i = 0;
  for (const Packet packet : burst) {
    const auto& reply = answers_[i++];
    if (!reply) continue;
    const Answer& answer = reply->answer;
    if (!add_packet(out, answer.size)) {
      out.send();
      out = tx.begin(sent_);
      if (!add_packet(out, answer.size)) {
        ++totals_.no_room;
        continue;
      }
    }
    if (reply->whole.empty())
      copy_packet(packet, out.back());
    else
      out.back().copy_from(std::as_bytes(std::span(reply->whole)));
    out.back().copy_from(std::as_bytes(std::span(answer.head).first(answer.rewritten)));
    count(answer);
  }
  out.send();
}

void RespondCommand::count(const Answer& answer) {
  switch (answer.kind) {
    case Answer::Kind::echo:
      ++totals_.echoes;
      break;
    case Answer::Kind::arp:
    case Answer::Kind::neighbor:
      ++totals_.resolutions;
      break;
    case Answer::Kind::reflection:
      ++totals_.reflected;
      break;
  }
}

void RespondCommand::summary() const {
  if (options_.json) {
    print_json({{"schema", "memif-respond/1"},
                {"received", totals_.received},
                {"echo_replies", totals_.echoes},
                {"resolutions", totals_.resolutions},
                {"reflected", totals_.reflected},
                {"not_sent", totals_.no_room}});
    return;
  }
  const std::string answered =
      options_.reflect ? fmt::format("{} reflected", totals_.reflected)
                       : fmt::format("{} echo replies, {} address resolutions", totals_.echoes, totals_.resolutions);
  print_line(fmt::format("{} packets received, {}, {} not sent for want of room", totals_.received, answered,
                         totals_.no_room));
}

}  // namespace

void add_respond(Command app, Action& action) {
  auto options = std::make_shared<RespondOptions>();
  options->port.wait.reset();
  options->port.reconnect = true;
  Command command = app.add_subcommand("respond", "answer ARP, ND and pings for addresses, or reflect all packets");
  command.add_option("ADDRESS", options->addresses, "IPv4 and IPv6 addresses to answer for, such as 192.168.1.2/24")
      .type_name("");
  const std::string reflect_help =
      "send every packet back with its MAC addresses swapped (--reflect=mac, the default), or the IP addresses and "
      "ports as well (--reflect=addresses)";
  command.add_flag("--reflect", reflect_help).check([options](const std::string& value) {
    if (value != "true" && value != "mac" && value != "addresses") return "'" + value + "' is not mac or addresses";
    options->reflect = value == "addresses" ? Reflect::addresses : Reflect::macs;
    return std::string();
  });
  command.add_option("--count", options->count, "end after so many echo replies or reflected packets")
      .whole_number()
      .type_name("N");
  command.add_option("--mac", options->mac, "MAC address (default: a random, locally administered one)")
      .type_name("MAC");
  command.add_flag("--json", options->json, "print one JSON object at the end");
  add_port_options(command, options->port);
  command.footer(
      "Waits for peers forever unless --wait says otherwise, and for the next when one is gone.\n"
      "Example: memif respond --socket /run/vpp/memif.sock --role client --id 0 192.168.1.2/24 fd00::2/64");
  command.callback([&action, options] { action = [options] { return RespondCommand(*options).run(); }; });
}

}  // namespace memif::tool
