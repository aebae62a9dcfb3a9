// A link: what a client lays out and says of it, and what a server makes of that. docs/protocol.md, "Shared memory".
#include "data/link.hpp"

#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "memory/layout.hpp"
#include "unit/data/links.hpp"

namespace memif::detail {
namespace {

using test::client_link;
using test::server_link;

InterfaceConfig config() {
  InterfaceConfig config{.socket = "@unused"};
  config.ring_size = 8;
  config.rx_queues = 2;
  config.tx_queues = 3;
  return config;
}

// Memory of the application's.
Fd memory_file(std::uint64_t size) {
  Fd file(::memfd_create("application", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
  return file;
}

TEST(Link, OffersItsTransmitRingsFirstEachAtACacheLineOfRegion0) {
  const auto link = client_link(config());
  const std::vector<handshake::RingSpec> specs = ring_specs(*link);
  ASSERT_EQ(specs.size(), 5u);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    EXPECT_EQ(specs[i].s2m, i < 3);
    EXPECT_EQ(specs[i].index, i < 3 ? i : i - 3);
    EXPECT_EQ(specs[i].region, 0u);
    EXPECT_EQ(specs[i].log2_size, 3u);
    EXPECT_EQ(specs[i].offset % wire::cache_line, 0u);
    if (i != 0) {
      EXPECT_GE(specs[i].offset, specs[i - 1].offset + wire::ring_bytes(3));
    }
    EXPECT_LE(specs[i].offset + wire::ring_bytes(3), link->first_buffer);
  }
  for (const auto* rings : {&link->tx, &link->rx})
    for (const LinkRing& ring : *rings) {
      EXPECT_TRUE(has_cookie(*ring.header));
      EXPECT_TRUE(ring.interrupt);
    }
}

TEST(Link, HasABufferOfItsOwnForEachSlotAndDescriptorsSayWhere) {
  const auto link = client_link(config());
  std::set<std::uint32_t> starts;
  for (const auto* rings : {&link->tx, &link->rx})
    for (const LinkRing& ring : *rings)
      for (std::uint16_t i = 0; i < 8; ++i) {
        const RawDescriptor said = Ring(ring.header, 3, false).load(i);
        EXPECT_EQ(said.offset, ring.offsets[i]);
        EXPECT_EQ(said.word, DescriptorWord::of(2048));
        starts.insert(ring.offsets[i]);
      }
  ASSERT_EQ(starts.size(), 5u * 8u);
  EXPECT_GE(*starts.begin(), link->first_buffer);
  EXPECT_LE(*starts.rbegin() + std::uint64_t{2048}, link->regions[0].size());
  for (auto one = starts.begin(), next = std::next(one); next != starts.end(); ++one, ++next)
    ASSERT_GE(*next - *one, 2048u);
}

TEST(Link, LeavesHeadroomInBuffersThatThePeerFills) {
  InterfaceConfig with = config();
  with.headroom = 128;
  const auto link = client_link(with);
  EXPECT_EQ(Ring(link->tx[0].header, 3, false).load(0).word.length(), 2048u);
  EXPECT_EQ(link->tx[0].offsets[0], link->first_buffer);
  EXPECT_EQ(Ring(link->rx[0].header, 3, false).load(0).word.length(), 2048u - 128u);
  EXPECT_EQ(link->rx[0].offsets[0], link->first_buffer + std::uint64_t{3} * 8 * link->buffer_stride + 128);
}

TEST(Link, HasTheApplicationsMemoryAsASecondRegion) {
  InterfaceConfig with = config();
  const std::uint64_t size = 64 + std::uint64_t{5} * 8 * 2048;
  const Fd file = memory_file(size);
  with.memory = ExternalMemory{.fd = file.get(), .size = size, .offset = 64};
  const auto link = client_link(with);
  ASSERT_EQ(link->regions.size(), 2u);
  EXPECT_EQ(link->buffer_region, 1u);
  EXPECT_EQ(link->rx[1].offsets[7] + 2048u, size) << "no gaps, and room for all";
  EXPECT_EQ(Ring(link->tx[0].header, 3, false).load(0).word.region(), 1u);
  EXPECT_EQ(link->tx[0].offsets[0], 64u);
}

TEST(Link, IsNotMadeOfMemoryThatIsTooShortOrNotThere) {
  InterfaceConfig with = config();
  const Fd file = memory_file(4096);
  with.memory = ExternalMemory{.fd = file.get(), .size = 4096};
  const auto shorter = test::try_client_link(with);
  ASSERT_FALSE(shorter);
  EXPECT_EQ(shorter.error().code, Errc::invalid_config);
  EXPECT_NE(shorter.error().message.find("need 81920 bytes"), std::string::npos) << shorter.error().message;
  with.memory.reset();
  with.memory_hooks =
      std::make_shared<MemoryHooks>(MemoryHooks{.provide = [](std::uint64_t) { return MemoryHooks::Mapped{}; }});
  EXPECT_FALSE(test::try_client_link(with));
}

TEST(Link, PostsAllReceiveBuffersAtOnceAndNothingBefore) {
  const auto link = client_link(config());
  for (const LinkRing& ring : link->rx) EXPECT_EQ(snapshot(*ring.header).head, 0u);
  post_all_buffers(*link);
  EXPECT_TRUE(link->posted);
  for (const LinkRing& ring : link->rx) EXPECT_EQ(snapshot(*ring.header).head, 8u);
  for (const LinkRing& ring : link->tx) EXPECT_EQ(snapshot(*ring.header).head, 0u);
}

TEST(Link, OfAServerIsOverTheSameRingsFromIndex0) {
  const auto client = client_link(config());
  client->tx[1].header->head = client->rx[0].header->tail = 77;
  const auto server = server_link(*client);
  const Status complete = complete_server_link(*server);
  ASSERT_TRUE(complete) << complete.error().message;
  EXPECT_EQ(snapshot(*client->tx[1].header).head, 0u);
  EXPECT_EQ(snapshot(*client->rx[0].header).tail, 0u);
  ASSERT_EQ(server->rx.size(), 3u);
  ASSERT_EQ(server->tx.size(), 2u);
  client->tx[2].header->head = 5;
  EXPECT_EQ(snapshot(*server->rx[2].header).head, 5u);
  EXPECT_TRUE(server->rx[0].dropped);
  EXPECT_TRUE(server->tx[0].posted);
}

TEST(Link, IsRefusedForARingThatNobodyMade) {
  const auto client = client_link(config());
  client->rx[1].header->cookie ^= 1;
  const Status complete = complete_server_link(*server_link(*client));
  ASSERT_FALSE(complete);
  EXPECT_EQ(complete.error().code, Errc::wrong_cookie);
  EXPECT_EQ(complete.error().message, "M2S ring 1: wrong cookie");
}

TEST(Link, FindsRingsByTheNamesOfTheProtocol) {
  const auto client = client_link(config());
  EXPECT_EQ(client->ring(true, 2), &client->tx[2]);
  EXPECT_EQ(client->ring(false, 1), &client->rx[1]);
  EXPECT_EQ(client->ring(true, 3), nullptr);
  const auto server = server_link(*client);
  EXPECT_EQ(server->ring(true, 2), &server->rx[2]);
  EXPECT_EQ(server->ring(false, 1), &server->tx[1]);
  EXPECT_EQ(server->ring(false, 2), nullptr);
}

TEST(Link, WhoseMemoryVanishesHasFailedAndTellsItsUser) {
  struct User final : FaultObserver {
    void memory_vanished() noexcept override { ++told; }
    int told = 0;
  } user;
  Link link;
  link.user = &user;
  link.memory_vanished();
  EXPECT_TRUE(link.failed);
  EXPECT_TRUE(link.vanished);
  EXPECT_EQ(user.told, 1);
}

}  // namespace
}  // namespace memif::detail
