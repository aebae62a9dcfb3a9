// What a process has only so much of for all its links: addresses and descriptors.
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <variant>
#include <vector>

#include "limits.hpp"
#include "stress/child.hpp"
#include "support/resources.hpp"

namespace memif::hostile {
namespace {

using namespace message;

// Admitted to the interface of that id.
void admit(RawClient& c, std::uint32_t id) {
  c.hello();
  Init init = c.init();
  init.id = id;
  c.send(init);
  c.expect<Ack>();
}

// As far as the victim lets it: how many it has taken.
unsigned announce(RawClient& c, std::uint64_t size, unsigned regions, std::uint32_t id = good_id) {
  admit(c, id);
  const int file = make_memfd(c, size);
  for (unsigned i = 0; i < regions; ++i) {
    c.send(AddRegion{static_cast<std::uint16_t>(i), size}, {file});
    if (std::holds_alternative<Disconnect>(c.receive().message)) return i;
  }
  return regions;
}

// --- Address space

constexpr std::uint64_t allowed_space = 512 * MiB;

// What a sanitizer keeps takes up more than all that there is.
bool limit_address_space() {
  if (stress::sanitized) return false;
  const struct rlimit limit { allowed_space, allowed_space };
  return ::setrlimit(RLIMIT_AS, &limit) == 0;
}

TEST(AddressSpace, IsReservedUpToTheLimitAndNoFurther) {
  bool possible = false;
  const Report report = outlive(
      {.config = server(128 * MiB), .confine = limit_address_space},
      [](const std::string& socket) {
        RawClient greedy(socket), modest(socket);
        announce(greedy, 64 * MiB, 3);
        modest.connect();
        modest.stream(100);
      },
      possible);
  if (!possible) GTEST_SKIP() << "address space cannot be limited under a sanitizer";
  EXPECT_EQ(report.connects, 1u);
  EXPECT_EQ(report.packets, 100u);
}

TEST(AddressSpace, ThatIsUsedUpIsARefusalInWords) {
  bool possible = false;
  const Report report = outlive(
      {.config = server(1 << 30), .confine = limit_address_space},
      [](const std::string& socket) {
        RawClient c(socket);
        announce(c, 64 * MiB, 256);
      },
      possible);
  if (!possible) GTEST_SKIP() << "address space cannot be limited under a sanitizer";
  expect_reason(report, Errc::bad_region, "cannot map 67108864 bytes");
}

// 64 GiB of which no descriptor names more than 8.
TEST(AddressSpace, IsNotReservedBeyondWhatDescriptorsReach) {
  bool possible = false;
  const Report report = outlive(
      {.config = server(std::uint64_t{20} << 30)},
      [](const std::string& socket) {
        RawClient c(socket);
        announce(c, std::uint64_t{64} << 30, 3);
      },
      possible);
  ASSERT_TRUE(possible);
  expect_reason(report, Errc::too_much_memory, "region 2 makes 25769803776 bytes");
}

// Eight peers that announce 256 regions of 64 GiB each, and the limit as it is unless set: each has no more than its
// interface's share, and one more interface serves its peer.
TEST(AddressSpace, OfManyInterfacesIsTheSumOfTheirLimits) {
  constexpr unsigned greedy = 8;
  constexpr std::uint64_t announced = std::uint64_t{64} << 30, reach = std::uint64_t{8} << 30;
  const std::uint64_t share = InterfaceConfig{.socket = ""}.max_peer_memory;
  const auto regions = static_cast<unsigned>(share / reach);
  bool possible = false;
  const Report report = outlive(
      {.config = server(share), .interfaces = 1 + greedy},
      [&](const std::string& socket) {
        std::vector<std::unique_ptr<RawClient>> clients;
        for (unsigned i = 1; i <= greedy; ++i) {
          clients.push_back(std::make_unique<RawClient>(socket));
          if (announce(*clients.back(), announced, regions, good_id + i) != regions) give_up("too few are taken");
        }
        RawClient modest(socket);
        modest.connect();
        modest.stream(100);
        for (const auto& client : clients) {
          client->send(AddRegion{static_cast<std::uint16_t>(regions), announced}, {make_memfd(*client, announced)});
          const auto refusal = std::get<Disconnect>(client->expect<Disconnect>().message);
          if (refusal.text.find("max_peer_memory") == refusal.text.npos) give_up("refused for another reason");
        }
        modest.stream(100);
      },
      possible);
  ASSERT_TRUE(possible);
  EXPECT_EQ(report.connects, 1u);
  EXPECT_EQ(report.packets, 200u);
  if (stress::sanitized) return;  // its own addresses are more than all these
  EXPECT_GT(report.most_addresses, greedy * share);
  EXPECT_LT(report.most_addresses, (greedy + 1) * share);
}

// --- Descriptors

// A link of as many regions as there can be, in a process that may not have as many descriptors.
TEST(Descriptors, OfMappedRegionsAreNotKept) {
  static std::size_t before = 0;
  const auto few = [] {
    before = test::open_descriptors();
    const struct rlimit limit { 128, 128 };
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
  };
  // The listener's, the link's socket and eventfds, and what a context has.
  const auto has_few = [] { return test::open_descriptors() <= before + 16; };
  bool possible = false;
  const Report report = outlive(
      {.config = server(std::uint64_t{1} << 30), .confine = few, .confine_later = has_few},
      [](const std::string& socket) {
        RawClient c(socket);
        c.region();
        const int file = make_memfd(c, 4096);
        for (std::uint16_t i = 1; i < 256; ++i) {
          c.send(AddRegion{i, 4096}, {file});
          c.expect<Ack>();
        }
        for (const bool to_server : {true, false}) {
          c.send(c.ring(to_server), {c.event()});
          c.expect<Ack>();
        }
        c.send(Connect{"hostile"});
        c.expect<Connected>();
        c.stream(100);
      },
      possible);
  ASSERT_TRUE(possible);
  EXPECT_EQ(report.connects, 1u);
  EXPECT_EQ(report.packets, 100u);
}

}  // namespace
}  // namespace memif::hostile
