// memif bridge: a memif as a port.
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

#include <memif/memif.hpp>

#include "bridge/port.hpp"
#include "common/command.hpp"
#include "common/output.hpp"
#include "common/session.hpp"
#include "net/codec.hpp"
#include "net/packets.hpp"

namespace memif::tool {
namespace {

constexpr std::chrono::seconds patience(1);

class MemifPort final : public BridgePort {
 public:
  MemifPort(const PortOptions& options, Context& context)
      : BridgePort("memif:" + port_name(options.config)), context_(context) {
    InterfaceConfig config = interface_config(options);
    config.on_connected = [this](Interface& interface) {
      up_ = true;
      queues_ = interface.rx_rings();
      most_queues_ = std::max(most_queues_, queues_);
      next_queue_ = 0;
      up_since_ = std::chrono::steady_clock::now();
      notice(fmt::format("{}: the link is up", name()));
    };
    config.on_disconnected = [this](Interface&, const Reason& reason) {
      if (std::exchange(up_, false)) notice(fmt::format("{}: the link is down: {}", name(), describe_reason(reason)));
    };
    auto added = context.try_add(std::move(config));
    if (!added)
      throw Failure(added.error().code == Errc::invalid_config ? exit_usage : exit_failed, added.error().message);
    interface_ = *added;
  }

  bool up() const override { return up_; }
  // A client gives a server room after the handshake.
  bool ready() override {
    return up_ && (interface_->tx(0).room() != 0 || std::chrono::steady_clock::now() >= up_since_ + patience);
  }
  std::string why_down() const override {
    auto reason = interface_->info().last_reason;
    if (!reason) reason = refusals_of(context_, *interface_).last;
    return reason ? describe_reason(*reason) : std::string();
  }
  bool relay(BridgePort& to) override;
  void pass(Frames frames, BridgePort& to) override;
  void release() override { burst_.release(); }
  bool arm(std::vector<pollfd>& descriptors) override;
  void disarm() override;
  std::chrono::nanoseconds spin() const override;

 private:
  void take(std::vector<Frame>& frames) override;
  void put(Frames frames) override;
  void receive_burst();
  MemifPort* of_our_pool(BridgePort& other) const;
  void exchange(MemifPort& to);
  void add(const RxBurst& burst, std::vector<Frame>& frames);
  std::uint64_t refused() const;

  Context& context_;
  Interface* interface_ = nullptr;
  bool up_ = false;
  Time up_since_{};
  std::size_t queues_ = 0, most_queues_ = 0;  // to receive from: of the last link, of all
  std::size_t next_queue_ = 0, armed_ = 0;
  std::uint64_t refused_ = 0;
  RxBurst burst_;
  std::vector<Buffer> received_ = std::vector<Buffer>(bridge_burst);
  std::vector<Buffer> sent_ = std::vector<Buffer>(burst_buffers);
  std::vector<std::byte> joined_;  // packets of a burst that lie in several buffers
};

// The queues take turns, so that a busy one does not silence the others.
void MemifPort::receive_burst() {
  if (!up_ || !burst_.empty()) return;
  for (std::size_t i = 0; i < queues_; ++i) {
    burst_ = interface_->rx(next_queue_).receive(received_);
    next_queue_ = (next_queue_ + 1) % queues_;
    if (!burst_.empty()) break;
  }
  const std::uint64_t now_refused = refused();
  counters_.rx_dropped += now_refused - std::exchange(refused_, now_refused);
}

void MemifPort::take(std::vector<Frame>& frames) {
  receive_burst();
  if (!burst_.empty()) add(burst_, frames);
}

// The port, if frames can go there without a copy.
MemifPort* MemifPort::of_our_pool(BridgePort& other) const {
  auto* const port = interface_->config().pool == nullptr ? nullptr : dynamic_cast<MemifPort*>(&other);
  return port != nullptr && port->interface_->config().pool == interface_->config().pool ? port : nullptr;
}

// A burst with a packet that is no frame goes the usual way, where such are dropped.
bool MemifPort::relay(BridgePort& to) {
  MemifPort* const other = of_our_pool(to);
  if (other == nullptr) return BridgePort::relay(to);
  receive_burst();
  if (burst_.empty()) return false;
  std::size_t bytes = 0;
  for (const Packet packet : burst_) {
    const std::size_t size = packet.size();
    if (size < ethernet_header || size > max_packet) return BridgePort::relay(to);
    bytes += size;
  }
  counters_.rx_packets += burst_.size();
  counters_.rx_bytes += bytes;
  exchange(*other);
  return true;
}

void MemifPort::pass(Frames frames, BridgePort& to) {
  MemifPort* const other = of_our_pool(to);
  if (other != nullptr && frames.size() == burst_.size())
    exchange(*other);
  else
    BridgePort::pass(frames, to);
}

// The whole burst goes there; what there is no room for is dropped with it.
void MemifPort::exchange(MemifPort& to) {
  const std::size_t packets = burst_.size();
  std::size_t sent = 0;
  if (to.up_) {
    TxQueue& tx = to.interface_->tx(0);
    const std::uint64_t before = tx.counters().bytes.get();
    sent = tx.forward(burst_);
    to.counters_.tx_bytes += tx.counters().bytes.get() - before;
  }
  to.counters_.tx_packets += sent;
  to.counters_.tx_exchanged += sent;
  to.counters_.tx_dropped += packets - sent;
}

void MemifPort::add(const RxBurst& burst, std::vector<Frame>& frames) {
  std::size_t total = 0;
  for (const Packet packet : burst) {
    const std::size_t size = packet.size();
    if (!packet.contiguous() && size <= max_packet) total += size;
  }
  if (joined_.size() < total) joined_.resize(total);
  std::size_t at = 0;
  for (const Packet packet : burst) {
    const std::size_t size = packet.size();
    if (size > max_packet) {
      ++counters_.rx_dropped;
    } else if (packet.contiguous()) {
      frames.emplace_back(packet.bytes());
    } else {
      const auto room = std::span(joined_).subspan(at, size);
      packet.copy_to(room);
      frames.emplace_back(room);
      at += size;
    }
  }
}

void MemifPort::put(Frames frames) {
  TxQueue& tx = interface_->tx(0);
  TxBurst out = tx.begin(sent_);
  for (const Frame& frame : frames) {
    if (!add_packet(out, frame.size())) {
      out.send();
      out = tx.begin(sent_);
      if (!add_packet(out, frame.size())) {
        if (tx.room() == 0) break;
        continue;
      }
    }
    out.back().copy_from(frame);
    sent(frame);
  }
  out.send();
}

std::uint64_t MemifPort::refused() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < most_queues_; ++i) sum += drops(interface_->rx(i).counters());
  return sum;
}

bool MemifPort::arm(std::vector<pollfd>& descriptors) {
  for (armed_ = 0; up_ && armed_ < queues_; ++armed_) {
    RxQueue& queue = interface_->rx(armed_);
    if (!queue.arm()) return false;
    descriptors.push_back({queue.raw().event_fd(), POLLIN, 0});  // the link's own: it is asked for anew each time
  }
  return true;
}

void MemifPort::disarm() {
  while (armed_ != 0) interface_->rx(--armed_).disarm();
}

std::chrono::nanoseconds MemifPort::spin() const {
  switch (interface_->config().rx_mode) {
    case RxMode::polling:
      return std::chrono::nanoseconds::max();
    case RxMode::adaptive:
      return interface_->config().spin;
    case RxMode::interrupt:
      break;
  }
  return std::chrono::nanoseconds(0);
}

}  // namespace

std::unique_ptr<BridgePort> open_port(const PortOptions& options, Context& context) {
  return std::make_unique<MemifPort>(options, context);
}

}  // namespace memif::tool
