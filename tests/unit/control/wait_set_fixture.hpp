// A wait set beside a link with four queues each way, in each mode.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memif/memif.hpp>

#include "support/pair.hpp"

namespace memif::test {

using namespace std::chrono_literals;

inline constexpr std::array<std::byte, 60> packet{};
inline constexpr auto forever = -1ns;

inline InterfaceConfig config_of(RxMode mode, std::uint16_t queues = 1) {
  InterfaceConfig config{.socket = ""};
  config.rx_queues = config.tx_queues = queues;
  config.ring_size = 8;
  config.rx_mode = mode;
  config.spin = 20us;
  config.reconnect = 0ms;
  return config;
}

inline std::size_t take(RxQueue& rx) {
  std::array<Buffer, 8> buffers;
  return rx.receive(buffers).size();
}

inline void fill(TxQueue& tx) {
  while (tx.send_copy(packet)) {
  }
}

class WaitSetFixture : public testing::TestWithParam<RxMode> {
 protected:
  void SetUp() override { ASSERT_TRUE(pair.connect()); }
  RxQueue& rx(std::size_t i) { return pair.server->rx(i); }
  TxQueue& tx(std::size_t i) { return pair.client->tx(i); }
  void send(std::size_t queue) { ASSERT_TRUE(tx(queue).send_copy(packet)); }
  void disconnect() {
    pair.client->disconnect("for the test");
    ASSERT_TRUE(poll_until([&] { return !pair.server->connected(); }));
  }
  bool poll_until(const std::function<bool()>& done) {
    return test::poll_until({&pair.server_context, &pair.client_context}, done);
  }
  void reconnect() {
    pair.client->connect();
    ASSERT_TRUE(pair.connect());
  }
  void add_all() {
    for (std::size_t i = 0; i != 4; ++i) set.add(rx(i), i);
  }

  Pair pair{config_of(GetParam(), 4)};
  WaitSet set;
};

// Each suite of these runs in each of the modes.
inline constexpr std::array modes{RxMode::polling, RxMode::interrupt, RxMode::adaptive};
inline constexpr auto name_of_mode = [](const auto& tested) { return to_string(tested.param); };

}  // namespace memif::test
