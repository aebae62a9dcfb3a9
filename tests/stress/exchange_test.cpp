// Two processes exchange numbered, summed packets both ways on two queues: none may be lost, doubled, moved or changed.
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

#include "child.hpp"

namespace memif::stress {
namespace {

struct Shape {
  const char* name;
  const char* mode;
  unsigned threads;
  unsigned ring;
  std::uint64_t share;  // of the packets, one in so many
};

class TwoProcesses : public testing::TestWithParam<Shape> {};

TEST_P(TwoProcesses, ExchangeEveryPacketOnceInOrderUnchanged) {
  const Shape& shape = GetParam();
  constexpr std::uint64_t lanes = 2 * 2;  // queues and directions
  // 20 million each way. A ring's 16-bit indices wrap 150 times and more, its slots thousands of times.
  const std::uint64_t total = amount("MEMIF_STRESS_PACKETS", 40'000'000, 2'000'000) / shape.share;
  const std::vector<std::string> common = {"--socket",  "@memifpp-stress-" + std::to_string(::getpid()),
                                           "--packets", std::to_string(total / lanes),
                                           "--queues",  "2",
                                           "--threads", std::to_string(shape.threads),
                                           "--ring",    std::to_string(shape.ring),
                                           "--mode",    shape.mode};
  auto server_arguments = common, client_arguments = common;
  server_arguments.insert(server_arguments.end(), {"--role", "server", "--seed", "1"});
  client_arguments.insert(client_arguments.end(), {"--role", "client", "--seed", "77"});
  Child server(server_arguments);
  Child client(client_arguments);
  const std::chrono::seconds patience(amount("MEMIF_STRESS_SECONDS", 110, 110));
  EXPECT_EQ(server.wait(patience), 0);
  EXPECT_EQ(client.wait(patience), 0);
}

INSTANTIATE_TEST_SUITE_P(Shapes, TwoProcesses,
                         testing::Values(Shape{"Adaptive", "adaptive", 1, 1024, 1},
                                         Shape{"InterruptWithAThreadAQueue", "interrupt", 2, 256, 20},
                                         Shape{"PollingSmallRings", "polling", 1, 16, 40}),
                         [](const auto& shape) { return shape.param.name; });

}  // namespace
}  // namespace memif::stress
