#include <chrono>
#include <deque>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <memif/memif.hpp>

#include "common/command.hpp"
#include "common/output.hpp"
#include "common/session.hpp"
#include "dump/dump.hpp"
#include "net/packets.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

// How soon to look again for room in a ring that is full.
constexpr auto full_pause = 50us;

std::vector<CaptureSource> describe_ports(const std::vector<PortOptions>& ports, Pass pass) {
  std::vector<CaptureSource> sources;
  std::set<std::string> names;
  for (const PortOptions& port : ports) {
    check_port(port);
    CaptureSource source{.name = port_name(port.config), .mode = port.config.mode};
    source.passes_on = pass == Pass::between;
    if (!names.insert(source.name).second) throw UsageError(fmt::format("{} is given twice", source.name));
    sources.push_back(std::move(source));
  }
  if (pass == Pass::between && ports.front().config.mode != ports.back().config.mode)
    throw UsageError("the two ports of --between must have the same mode");
  return sources;
}

std::uint64_t dropped(const Port& port) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < port.most_rx_queues(); ++i) sum += drops(port.rx(i).counters());
  return sum;
}

// One receive queue. Packets that the other side has no room for stay here, in the peer's ring, until it has: so they
// are lost no more than if the two peers were joined to each other.
struct Lane {
  std::size_t queue;
  std::vector<Buffer> received = std::vector<Buffer>(burst_buffers);
  RxBurst burst{};
  PacketIterator next{};  // the first packet of the burst that was not passed on
  std::size_t left = 0;   // packets from there

  void drop() noexcept {
    burst.release();
    left = 0;
  }
};

class LiveCapture {
 public:
  LiveCapture(const CaptureOptions& options, const std::vector<PortOptions>& ports, Pass pass)
      : sink_(options, describe_ports(ports, pass)), pass_(pass) {
    for (const PortOptions& port : ports) sides_.push_back(Side{session_.add(port)});
  }

  int run();

 private:
  struct Side {
    Port& port;
    std::deque<Lane> lanes{};  // for each queue that some link had; a lane stays where it is
    bool gone() const { return !port.up() && port.links() != 0 && !port.options().reconnect; }
  };

  std::optional<CaptureEnd> serve();
  bool serve(std::size_t side);
  bool capture(std::size_t side, Lane& lane);
  void pass_on(std::size_t side, Lane& lane);
  int exit_code(CaptureEnd end);

  CaptureSink sink_;
  Pass pass_;
  Session session_;
  std::deque<Side> sides_;  // a side stays where it is, too
  std::vector<Buffer> sent_ = std::vector<Buffer>(burst_buffers);
  bool full_ = false;  // packets wait for room on the other side
};

int LiveCapture::run() {
  std::optional<CaptureEnd> end;
  try {
    while (!end) end = serve();
  } catch (const Failure& failure) {
    if (failure.code() == exit_no_peer) sink_.close();  // what other ports gave is not lost
    throw;
  }
  if (pass_ == Pass::between) session_.linger();
  sink_.close();
  sink_.report(*end);
  return exit_code(*end);
}

// One round over all ports, and a wait if none had anything.
std::optional<CaptureEnd> LiveCapture::serve() {
  bool idle = true, gone = true;
  auto until = sink_.next_tick();
  full_ = false;
  for (std::size_t i = 0; i < sides_.size(); ++i) {
    Port& port = sides_[i].port;
    if (port.up())
      sink_.start();
    else if (!sides_[i].gone())
      until = std::min(until, session_.look_for_link(port));
    if (serve(i)) idle = false;
    gone = gone && sides_[i].gone();
  }
  if (session_.stopped()) return CaptureEnd::signal;
  sink_.tick();
  if (const auto end = sink_.end()) return end;
  if (gone || (pass_ == Pass::between && (sides_.front().gone() || sides_.back().gone()))) return CaptureEnd::link_down;
  if (full_)
    session_.pause(full_pause);
  else
    session_.wait(idle ? until : Clock::now());
  return std::nullopt;
}

// A burst of each queue; false if there was none. What a lane holds is passed on even when its own link is gone: until
// its queue's next call it can be read. So no such call, not even Session::wait(), may come before.
bool LiveCapture::serve(std::size_t side) {
  const Port& port = sides_[side].port;
  bool any = false;
  std::deque<Lane>& lanes = sides_[side].lanes;
  while (lanes.size() < port.rx_queues()) lanes.push_back(Lane{lanes.size()});
  for (Lane& lane : lanes) {
    if (lane.left == 0 && port.up() && capture(side, lane)) any = true;
    if (pass_ == Pass::between)
      pass_on(side, lane);
    else
      lane.drop();
  }
  sink_.source(side).dropped = dropped(port);
  return any;
}

bool LiveCapture::capture(std::size_t side, Lane& lane) {
  lane.burst = sides_[side].port.rx(lane.queue).receive(lane.received);
  if (lane.burst.empty()) return false;
  lane.next = lane.burst.begin();
  lane.left = lane.burst.size();
  const CaptureTime time = capture_now();
  const Direction direction = pass_ == Pass::between ? Direction::inbound : Direction::unknown;
  for (const Packet packet : lane.burst) {
    if (sink_.enough()) break;
    sink_.take(side, time, copy_head(packet, sink_.room()).size(), packet.size(), direction);
  }
  return true;
}

// What the other side has room for; all that is left is dropped while it has no link.
void LiveCapture::pass_on(std::size_t side, Lane& lane) {
  if (lane.left == 0) return;
  CaptureSource& source = sink_.source(side);
  const Port& other = sides_[1 - side].port;
  TxQueue& to = other.tx(lane.queue);
  const bool all_free = to.room() == to.ring_size();  // before begin(): the peer makes room all the time
  TxBurst out = to.begin(sent_);
  std::size_t added = 0;
  for (; lane.left != 0; ++lane.next, --lane.left) {
    const Packet packet = *lane.next;
    if (add_packet(out, packet.size())) {
      copy_packet(packet, out.back());
      ++added;
    } else if (added == 0 && (!other.up() || all_free)) {
      ++source.not_passed_on;  // it would never fit
    } else {
      break;
    }
  }
  const std::size_t sent = out.send();
  source.passed_on += sent;
  source.not_passed_on += added - sent;
  if (lane.left == 0)
    lane.drop();
  else
    full_ = true;
}

int LiveCapture::exit_code(CaptureEnd end) {
  if (end != CaptureEnd::link_down) return exit_done;
  for (const Side& side : sides_) {
    if (!side.gone()) continue;
    const std::string what =
        fmt::format("the link on {} is down: {}", port_name(side.port.config()), side.port.why_down());
    if (!sink_.limited()) {
      notice(what);
    } else {
      complain(what + " (--reconnect goes on when the peer returns)");
      return exit_failed;
    }
  }
  return exit_done;
}

}  // namespace

int capture(const CaptureOptions& options, const std::vector<PortOptions>& ports, Pass pass) {
  return LiveCapture(options, ports, pass).run();
}

}  // namespace memif::tool
