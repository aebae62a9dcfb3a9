// What a forwarder between two client interfaces moves: with one pool, where buffers change places, and without, where
// packets are copied; in turns, in one process. One thread forwards; another is the source and the sink, on the
// servers' sides, and touches a line of each packet. One JSON object a line.
//   forward [ROUNDS [MILLISECONDS]]
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include <memif/memif.hpp>

#include "harness.hpp"

namespace {

using namespace bench;

constexpr std::size_t burst = 32;

// source.tx -> first.rx, second.tx -> sink.rx
class Path {
 public:
  Path(std::size_t size, bool pooled) : size_(static_cast<std::uint32_t>(size)) {
    memif::InterfaceConfig config{.rx_mode = memif::RxMode::polling, .prefault = true};
    if (pooled) config.pool = memif::Pool::create({.buffers = 4096, .prefault = true}).value();
    source_ = &join(config, first_);
    sink_ = &join(config, second_);
  }

  double run(std::chrono::milliseconds time) {
    return measure(
        time, [this] { forward(); }, [this] { return send() + receive(); });
  }

 private:
  // A server and a client of their own socket. Returns the server.
  memif::Interface& join(memif::InterfaceConfig config, memif::Interface*& client) {
    static int count = 0;
    config.socket = "@memifpp-bench-forward-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
    memif::InterfaceConfig other = config;
    other.role = memif::Role::server;
    other.pool = nullptr;
    memif::Interface& server = context_.add(other);
    client = &context_.add(config);
    while (!(server.connected() && client->connected())) context_.poll(std::chrono::milliseconds(10));
    return server;
  }

  void forward() {
    memif::RxBurst in = first_->rx(0).receive(forwarded_);
    if (in.empty()) return bench::pause();
    second_->tx(0).forward(in);
  }
  std::size_t send() {
    memif::TxBurst out = source_->tx(0).allocate(sent_, size_, burst);
    for (memif::Packet packet : out) produce(packet.data(), 8, Touch::lines, 1, nullptr);
    out.send();
    return 0;
  }
  std::size_t receive() {
    const memif::RxBurst in = sink_->rx(0).receive(received_);
    std::uint64_t sum = 0;
    for (const memif::Packet packet : in) sum += consume(packet.data(), 8, Touch::lines, nullptr);
    keep(sum);
    return in.size();
  }

  const std::uint32_t size_;
  memif::Context context_;
  memif::Interface *source_ = nullptr, *sink_ = nullptr, *first_ = nullptr, *second_ = nullptr;
  alignas(128) std::array<memif::Buffer, 8 * burst> forwarded_;
  alignas(128) std::array<memif::Buffer, 8 * burst> sent_, received_;
};

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 7;
  const auto slice = std::chrono::milliseconds(argc > 2 ? std::atoi(argv[2]) : 50);
  for (const std::size_t size : {64, 1500, 9000}) {
    Path pooled(size, true), copying(size, false);
    std::vector<double> with, without, ratios;
    for (int round = 0; round < rounds; ++round) {
      with.push_back(pooled.run(slice));
      without.push_back(copying.run(slice));
      if (without.back() > 0) ratios.push_back(with.back() / without.back());
    }
    std::printf("{\"bench\": \"forward\", \"size\": %zu, \"pool_mpps\": %.2f, \"copy_mpps\": %.2f, \"ratio\": %.3f}\n",
                size, median(with) / 1e6, median(without) / 1e6, median(ratios));
    std::fflush(stdout);
  }
}
