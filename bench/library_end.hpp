// memifpp as the benchmarks' subject: two interfaces of this process, joined, one thread a side.
#pragma once

#include <array>
#include <string>
#include <unistd.h>
#include <vector>

#include <memif/memif.hpp>

#include "limit_probe.hpp"

namespace bench {

class Library {
 public:
  explicit Library(const Traffic& traffic, memif::RxMode mode = memif::RxMode::polling, std::uint16_t queues = 1)
      : traffic_(traffic), source_(traffic.size + 64), target_(traffic.size + 64) {
    static int count = 0;
    memif::InterfaceConfig config{
        .socket = "@memifpp-bench-" + std::to_string(::getpid()) + "-" + std::to_string(count++),
        .rx_queues = queues,
        .tx_queues = queues,
        .ring_size = static_cast<std::uint32_t>(traffic.ring),
        .rx_mode = mode,
        .prefault = true};
    config.role = memif::Role::server;
    server_ = &context_.add(config);
    config.role = memif::Role::client;
    client_ = &context_.add(config);
    while (!(server_->connected() && client_->connected())) context_.poll(std::chrono::milliseconds(10));
  }

  memif::TxQueue& tx(std::size_t queue = 0) { return (traffic_.to_server ? client_ : server_)->tx(queue); }
  memif::RxQueue& rx(std::size_t queue = 0) { return (traffic_.to_server ? server_ : client_)->rx(queue); }
  memif::Interface& server() { return *server_; }
  memif::Interface& client() { return *client_; }

  double run(std::chrono::milliseconds time) {
    return measure(
        time, [this] { send(); }, [this] { return receive(); });
  }

  void send(std::size_t queue = 0) {
    memif::TxBurst out = tx(queue).allocate(out_, static_cast<std::uint32_t>(traffic_.size), traffic_.burst);
    std::size_t at = 0;
    for (memif::Buffer& buffer : out.buffers()) {
      produce(buffer.data(), buffer.size(), traffic_.touch, counter_++, source_.data() + at);
      at = buffer.more() ? at + buffer.size() : 0;
    }
    out.send();
  }
  std::size_t receive(std::size_t queue = 0) {
    const memif::RxBurst in = rx(queue).receive(std::span(in_).first(buffers()));
    std::size_t at = 0;
    for (const memif::Buffer& buffer : in.buffers()) {
      sum_ += consume(buffer.data(), buffer.size(), traffic_.touch, target_.data() + at);
      at = buffer.more() ? at + buffer.size() : 0;
    }
    keep(sum_);
    return in.size();
  }

 private:
  std::size_t buffers() const { return traffic_.burst * ((traffic_.size + 2047) / 2048); }

  Traffic traffic_;
  memif::Context context_;
  memif::Interface* server_ = nullptr;
  memif::Interface* client_ = nullptr;
  std::vector<std::byte> source_, target_;
  alignas(128) std::array<memif::Buffer, 2048> out_;
  std::uint64_t counter_ = 0;
  alignas(128) std::array<memif::Buffer, 2048> in_;
  std::uint64_t sum_ = 0;
};

}  // namespace bench
