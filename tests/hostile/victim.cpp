#include "victim.hpp"

#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#include "attacks.hpp"

namespace memif::hostile {
namespace {

using namespace std::chrono_literals;

constexpr off_t external_size = 1 << 20;

InterfaceConfig attacked(Role role, Setup setup, const std::string& socket) {
  return {.socket = socket,
          .id = good_id,
          .role = role,
          .secret = role == Role::server ? good_secret : "",
          .ring_size = ring_size,
          .buffer_size = buffer_size,
          .max_packet = role == Role::client ? clients_max_packet : InterfaceConfig{.socket = ""}.max_packet,
          .reconnect = 0ms,
          .handshake_timeout = setup == Setup::short_timeout    ? 100ms
                               : setup == Setup::second_timeout ? Victim::handshake_deadline
                                                                : 10'000ms,
          .require_sealed_memory = setup == Setup::sealed_only};
}

}  // namespace

// --- Bystander

constexpr std::uint32_t bystanders_ring = 256;

Bystander::Bystander(Context& context, const std::string& socket, std::shared_ptr<Pool> pool)
    : interface_(context.add({.socket = socket,
                              .role = pool ? Role::client : Role::server,
                              .ring_size = bystanders_ring,
                              .buffer_size = buffer_size,
                              .reconnect = 10ms,
                              .pool = pool})),
      socket_(socket),
      peer_role_(pool ? Role::server : Role::client),
      thread_([this] { run(); }) {}

Bystander::~Bystander() {
  stop_ = true;
  thread_.join();
}

void Bystander::run() {
  Context context;
  Interface& peer = context.add({.socket = socket_, .role = peer_role_, .ring_size = bystanders_ring});
  for (; !stop_; next_round()) {
    context.poll(1ms);
    if (!peer.connected() || !interface_.connected()) continue;
    exchange(interface_.tx(0), peer.rx(0));
    exchange(peer.tx(0), interface_.rx(0));
  }
}

void Bystander::exchange(TxQueue& from, RxQueue& to) {
  TxBurst burst = from.allocate(out_, packet_size, burst_size);
  for (const Packet packet : burst) write(packet.data());
  const std::size_t sent = burst.send();
  const RxBurst received = to.receive(in_);
  for (const Packet packet : received) compare(packet.data(), packet.size());
  arrived(received.size(), sent);
}

// --- Victim

Victim::Victim(Role role, Setup setup, std::shared_ptr<Pool> pool)
    : role_(role), socket_(unique_socket("attacked")), context_(std::make_unique<Context>(ContextConfig{})) {
  InterfaceConfig config = attacked(role, setup, socket_);
  if (setup == Setup::unsealed_memory) {
    memory_ = Fd(::memfd_create("external", MFD_CLOEXEC));
    prepare();
    config.memory = ExternalMemory{memory_.get(), external_size, 0};
  }
  config.pool = pool;
  interface_ = &context_->add(std::move(config));
  bystander_ = std::make_unique<Bystander>(*context_, unique_socket("bystander"), std::move(pool));
}

void Victim::prepare() {
  if (memory_ && ::ftruncate(memory_.get(), external_size) != 0) throw std::runtime_error("ftruncate");
}

// The bystander's interface must outlive its thread.
Victim::~Victim() { bystander_.reset(); }

void Victim::one_turn(std::chrono::milliseconds wait) {
  context_->poll(0ms);
  receive();
  send();
  context_->poll(wait);
}

void Victim::idle_turn() {
  context_->poll(5ms);
  interface_->rx(0).wait(10ms);
  receive();
}

bool Victim::inside(const Buffer& buffer) const {
  for (const RegionInfo& region : regions_) {
    const auto* const base = static_cast<const std::byte*>(region.address);
    if (buffer.data() >= base && buffer.capacity() <= region.size &&
        static_cast<std::uint64_t>(buffer.data() - base) <= region.size - buffer.capacity())
      return true;
  }
  return false;
}

void Victim::receive() {
  regions_ = interface_->info().regions;
  interface_->rx(0).wait(100us);
  RxBurst burst = interface_->rx(0).receive(buffers_);
  if (!connected() && !burst.empty()) ++mistaken_;
  for (const Buffer& buffer : burst.buffers()) outside_ += inside(buffer) ? 0 : 1;
  // The link may go down meanwhile: what was received can still be read.
  context_->poll(0ms);
  unsigned sum = 0;
  for (const Packet packet : burst) {
    for (const Buffer& buffer : packet.buffers())
      for (const volatile std::byte& byte : buffer.bytes()) sum += std::to_integer<unsigned>(byte);
    saw(packet.data(), packet.bytes().size());
  }
  checksum_ += sum;
}

void Victim::send() {
  regions_ = interface_->info().regions;
  for (const std::uint32_t size : {64u, 1500u, 5000u}) {
    TxBurst burst = interface_->tx(0).allocate(std::span(buffers_).first(8), size, 4);
    if (!connected() && !burst.empty()) ++mistaken_;
    for (const Packet packet : burst)
      for (const Buffer& buffer : packet.buffers()) {
        outside_ += inside(buffer) ? 0 : 1;
        std::memset(buffer.data(), 0x5a, buffer.size());
      }
    burst.send();
  }
}

// For twice as many links as there are interfaces.
std::shared_ptr<Pool> PooledVictim::make_pool() {
  return Pool::create({.buffers = std::size_t{4} * (ring_size + bystanders_ring), .buffer_size = buffer_size}).value();
}

std::ptrdiff_t PooledVictim::missing() const {
  const std::size_t linked = (connected() ? 2 * ring_size : 0) + (bystander().connected() ? 2 * bystanders_ring : 0);
  return static_cast<std::ptrdiff_t>(pool_->buffers()) - static_cast<std::ptrdiff_t>(pool_->free() + linked);
}

std::uint64_t Victim::count(const Expected& expected) const {
  const InterfaceInfo info = interface_->info();
  switch (expected.outcome) {
    case Outcome::refused:
      return role_ == Role::server ? context_->listener_stats(socket_)->refused : info.refusals;
    case Outcome::lost:
      return info.disconnects;
    case Outcome::dropped_rx:
      return drops(interface_->rx(0).counters());
    case Outcome::dropped_tx:
      return interface_->tx(0).counters().dropped_buffer.get();
    case Outcome::harmless:
    case Outcome::contained:
      return 0;
  }
  return 0;
}

bool Victim::tells(const Expected& expected, std::uint64_t before) const {
  if (count(expected) <= before) return false;
  if (expected.outcome != Outcome::refused && expected.outcome != Outcome::lost) return true;
  const Reason reason = last_reason(expected);
  return reason.code == expected.code && !reason.text.empty();
}

std::uint64_t Victim::handshakes() const {
  if (role_ == Role::client) return 0;  // an attempt ends with Interface::disconnect()
  const ListenerStats stats = *context_->listener_stats(socket_);
  return stats.accepted - stats.refused - interface_->info().connects;
}

Reason Victim::last_reason(const Expected& expected) const {
  if (expected.outcome == Outcome::refused && role_ == Role::server)
    return context_->listener_stats(socket_)->last_refusal.value_or(Reason{});
  return interface_->info().last_reason.value_or(Reason{});
}

}  // namespace memif::hostile
