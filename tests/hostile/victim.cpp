#include "victim.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <sys/mman.h>
#include <unistd.h>

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
          .reconnect = 0ms,
          .handshake_timeout = setup == Setup::short_timeout    ? 100ms
                               : setup == Setup::second_timeout ? 1'000ms
                                                                : 10'000ms,
          .require_sealed_memory = setup == Setup::sealed_only};
}

}  // namespace

std::chrono::nanoseconds cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::string unique_socket(const char* what) {
  static std::atomic<int> count{0};
  return std::string("@memifpp-hostile-") + what + "-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
}

// --- Bystander

Bystander::Bystander(Context& context, const std::string& socket)
    : interface_(context.add({.socket = socket, .role = Role::server})), socket_(socket), thread_([this] { run(); }) {}

Bystander::~Bystander() {
  stop_ = true;
  thread_.join();
}

void Bystander::run() {
  Context context;
  Interface& peer = context.add({.socket = socket_, .role = Role::client, .ring_size = 256});
  for (; !stop_; ++rounds_) {
    context.poll(1ms);
    if (!peer.connected() || !interface_.connected()) continue;
    exchange(interface_.tx(0), peer.rx(0));
    exchange(peer.tx(0), interface_.rx(0));
  }
}

void Bystander::exchange(TxQueue& from, RxQueue& to) {
  TxBurst burst = from.allocate(out_, 256, 16);
  std::uint32_t first = number_;
  for (const Packet packet : burst) {
    std::memset(packet.data(), static_cast<int>(number_ % 251), packet.size());
    std::memcpy(packet.data(), &number_, sizeof number_);
    ++number_;
  }
  const std::size_t sent = burst.send();
  const RxBurst received = to.receive(in_);
  if (received.size() != sent) ++wrong_;
  for (const Packet packet : received) {
    std::array<std::byte, 256> expected;
    std::memset(expected.data(), static_cast<int>(first % 251), expected.size());
    std::memcpy(expected.data(), &first, sizeof first);
    ++first;
    if (packet.size() != 256 || std::memcmp(packet.data(), expected.data(), 256) != 0)
      ++wrong_;
    else
      ++verified_;
  }
}

// --- Victim

Victim::Victim(Role role, Setup setup)
    : role_(role), socket_(unique_socket("attacked")), context_(std::make_unique<Context>(ContextConfig{})) {
  InterfaceConfig config = attacked(role, setup, socket_);
  if (setup == Setup::unsealed_memory) {
    memory_ = Fd(::memfd_create("external", MFD_CLOEXEC));
    prepare();
    config.memory = ExternalMemory{memory_.get(), external_size, 0};
  }
  interface_ = &context_->add(std::move(config));
  bystander_ = std::make_unique<Bystander>(*context_, unique_socket("bystander"));
}

void Victim::prepare() {
  if (memory_ && ::ftruncate(memory_.get(), external_size) != 0) throw std::runtime_error("ftruncate");
}

// The bystander's interface must outlive its thread.
Victim::~Victim() { bystander_.reset(); }

void Victim::turn(std::chrono::milliseconds wait) {
  const std::uint64_t before = bystander_->rounds();
  context_->poll(0ms);
  receive();
  send();
  context_->poll(wait);
  longest_turn_ = std::max(longest_turn_, bystander_->rounds() - before);
}

bool Victim::turn_until(const std::function<bool()>& done) {
  const std::uint64_t patience = bystander_->rounds() + 20'000;
  while (!done()) {
    if (bystander_->rounds() > patience) return false;
    turn(1ms);
  }
  return true;
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
  for (const Buffer& buffer : burst.buffers()) outside_ += inside(buffer) ? 0 : 1;
  // The link may go down meanwhile: what was received can still be read.
  context_->poll(0ms);
  unsigned sum = 0;
  for (const Packet packet : burst) {
    for (const Buffer& buffer : packet.buffers())
      for (const volatile std::byte& byte : buffer.bytes()) sum += std::to_integer<unsigned>(byte);
    if (packet.bytes().size() < 4) continue;
    good_ += std::memcmp(packet.data(), "GOOD", 4) == 0 ? 1 : 0;
    evil_ += std::memcmp(packet.data(), "EVIL", 4) == 0 ? 1 : 0;
  }
  checksum_ += sum;
}

void Victim::send() {
  regions_ = interface_->info().regions;
  for (const std::uint32_t size : {64u, 1500u, 5000u}) {
    TxBurst burst = interface_->tx(0).allocate(std::span(buffers_).first(8), size, 4);
    for (const Packet packet : burst)
      for (const Buffer& buffer : packet.buffers()) {
        outside_ += inside(buffer) ? 0 : 1;
        std::memset(buffer.data(), 0x5a, buffer.size());
      }
    burst.send();
  }
}

double Victim::idle_load() {
  const auto before = cpu_time();
  const auto start = Clock::now();
  while (Clock::now() - start < 40ms) {
    context_->poll(5ms);
    interface_->rx(0).wait(10ms);
    receive();
  }
  return std::chrono::duration<double>(cpu_time() - before) / std::chrono::duration<double>(Clock::now() - start);
}

std::uint64_t Victim::count(const Expected& expected) const {
  const InterfaceInfo info = interface_->info();
  const RxCounters& rx = interface_->rx(0).counters();
  switch (expected.outcome) {
    case Outcome::refused:
      return role_ == Role::server ? context_->listener_stats(socket_)->refused : info.refusals;
    case Outcome::lost:
      return info.disconnects;
    case Outcome::dropped_rx:
      return rx.dropped_descriptor.get() + rx.dropped_long.get();
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
