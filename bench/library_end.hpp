// memifpp as the benchmarks' subject: two interfaces of this process, joined, one thread a side.
#pragma once

#include <array>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <memif/memif.hpp>

#include "harness.hpp"

namespace bench {

class Library {
 public:
  explicit Library(const Traffic& traffic, memif::RxMode mode = memif::RxMode::polling,
                   std::chrono::microseconds spin = std::chrono::microseconds(50))
      : traffic_(traffic), source_(traffic.shape.size + 64), target_(traffic.shape.size + 64) {
    static int count = 0;
    memif::InterfaceConfig config{
        .socket = "@memifpp-bench-" + std::to_string(::getpid()) + "-" + std::to_string(count++),
        .rx_queues = static_cast<std::uint16_t>(traffic.queues),
        .tx_queues = static_cast<std::uint16_t>(traffic.queues),
        .ring_size = static_cast<std::uint32_t>(traffic.shape.ring),
        .buffer_size = static_cast<std::uint32_t>(traffic.shape.buffer),
        .rx_mode = mode,
        .spin = spin,
        .prefault = true};
    config.role = memif::Role::server;
    server_ = &context_.add(config);
    config.role = memif::Role::client;
    client_ = &context_.add(config);
    while (!(server_->connected() && client_->connected())) context_.poll(std::chrono::milliseconds(10));
  }

  memif::TxQueue& tx(std::size_t queue = 0) { return (traffic_.shape.to_server ? client_ : server_)->tx(queue); }
  memif::RxQueue& rx(std::size_t queue = 0) { return (traffic_.shape.to_server ? server_ : client_)->rx(queue); }
  memif::Context& context() { return context_; }
  memif::Interface& server() { return *server_; }
  memif::Interface& client() { return *client_; }

  double run(std::chrono::milliseconds time) {
    if (traffic_.shape.touch == Touch::written) return run_as<Touch::written, true>(time);
    if (traffic_.shape.touch == Touch::copy) return run_as<Touch::copy, false>(time);
    if (traffic_.shape.touch == Touch::mixed) return run_as<Touch::mixed, false>(time);
    return traffic_.shape.size <= 64 ? run_as<Touch::lines, true>(time) : run_as<Touch::lines, false>(time);
  }

  // What the application does with a packet is settled when it is compiled, as it is in the probe. With nothing to do
  // it pauses, as the probe's patient variants do.
  template <Touch touch = Touch::lines, bool one_line = false>
  void send(std::size_t queue = 0) {
    memif::TxBurst out = tx(queue).allocate(out_, static_cast<std::uint32_t>(traffic_.shape.size), traffic_.burst);
    if (out.empty()) {
      pause();
      return;
    }
    std::size_t at = 0;
    std::uint64_t counter = counter_;  // not a member of `this` while bytes are written that might be its own
    for (memif::Buffer& buffer : out.buffers()) {
      produce(buffer.data(), one_line ? in_one_line(touch) : buffer.size(), touch, counter++, source_.data() + at);
      if constexpr (touch == Touch::written) buffer.resize(static_cast<std::uint32_t>(traffic_.shape.size));
      if constexpr (touch == Touch::copy) at = buffer.more() ? at + buffer.size() : 0;
    }
    counter_ = counter;
    out.send();
  }
  void send_mixed(std::size_t queue = 0) {
    memif::TxBurst out = tx(queue).begin(out_);
    std::uint64_t counter = counter_;
    for (const std::uint64_t end = counter + traffic_.burst; counter != end; ++counter) {
      const std::uint16_t size = mixed[counter % mixed_sizes];
      if (!out.add(size)) break;
      produce(out.back().data(), size, Touch::mixed, counter, source_.data());
    }
    if (counter == counter_) return pause();
    counter_ = counter;
    out.send();
  }
  template <Touch touch = Touch::lines, bool one_line = false>
  std::size_t receive(std::size_t queue = 0) {
    const memif::RxBurst in = rx(queue).receive(std::span(in_).first(buffers()));
    if (in.empty()) {
      pause();
      return 0;
    }
    std::size_t at = 0;
    std::uint64_t sum = 0;
    for (const memif::Buffer& buffer : in.buffers()) {
      sum += consume(buffer.data(), one_line ? in_one_line(touch) : buffer.size(), touch, target_.data() + at);
      if constexpr (touch == Touch::copy) at = buffer.more() ? at + buffer.size() : 0;
    }
    keep(sum);
    return in.size();
  }

 private:
  template <Touch touch, bool one_line>
  double run_as(std::chrono::milliseconds time) {
    const auto turn = [n = traffic_.queues](std::size_t& at) { return n == 1 ? 0 : std::exchange(at, (at + 1) % n); };
    std::size_t out = 0, in = 0;
    return measure(
        time,
        [&] {
          if constexpr (touch == Touch::mixed)
            send_mixed(turn(out));
          else
            send<touch, one_line>(turn(out));
        },
        [&] { return receive<touch, one_line>(turn(in)); });
  }

  std::size_t buffers() const { return traffic_.burst * traffic_.shape.parts(); }

  Traffic traffic_;
  memif::Context context_;
  memif::Interface* server_ = nullptr;
  memif::Interface* client_ = nullptr;
  std::vector<std::byte> source_, target_;
  alignas(128) std::array<memif::Buffer, 2048> out_;
  std::uint64_t counter_ = 0;
  alignas(128) std::array<memif::Buffer, 2048> in_;
};

}  // namespace bench
