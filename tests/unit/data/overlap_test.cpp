// A client may say that what it sends and what it wants filled are the same bytes.
#include <array>
#include <cstring>
#include <gtest/gtest.h>

#include "data/queues.hpp"

namespace memif::detail {
namespace {

constexpr unsigned log2_size = 2;
constexpr std::uint32_t length = 100;

struct alignas(64) Memory {
  wire::RingHeader s2m_header{};
  std::array<wire::Descriptor, 1 << log2_size> s2m{};
  alignas(64) wire::RingHeader m2s_header{};
  std::array<wire::Descriptor, 1 << log2_size> m2s{};
  std::array<std::byte, 2 * length> data{};
};

wire::Descriptor descriptor(std::size_t offset) {
  wire::Descriptor one{};
  one.word0 = DescriptorWord::of(length).value;
  one.offset = static_cast<std::uint32_t>(offset);
  return one;
}

std::shared_ptr<Link> server_link(Memory& memory) {
  auto link = std::make_shared<Link>();
  link->views.emplace_back(reinterpret_cast<std::byte*>(&memory), sizeof memory);
  for (const bool receives : {true, false}) {
    LinkRing ring;
    ring.spec = {.s2m = receives, .log2_size = log2_size};
    ring.header = receives ? &memory.s2m_header : &memory.m2s_header;
    ring.dropped = std::make_unique<std::uint64_t[]>(1);
    ring.posted = std::make_unique<std::uint64_t[]>(1 << log2_size);
    (receives ? link->rx : link->tx).push_back(std::move(ring));
  }
  return link;
}

TEST(OverlappingBuffers, AreForwardedAsIfTheyDidNot) {
  for (const int distance : {-3, 3}) {
    Memory memory;
    for (std::size_t i = 0; i < memory.data.size(); ++i) memory.data[i] = static_cast<std::byte>(i);
    const std::size_t from = offsetof(Memory, data) + 50;
    const std::size_t to = from + static_cast<std::size_t>(distance);
    memory.s2m[0] = descriptor(from);
    memory.m2s[0] = descriptor(to);
    memory.s2m_header.head = memory.m2s_header.head = 1;
    Queues queues({}, std::nullopt, [] {});
    queues.set_link(server_link(memory));

    std::array<Buffer, 4> buffers;
    RxBurst burst = queues.rx(0).receive(buffers);
    ASSERT_EQ(burst.size(), 1u);
    ASSERT_EQ(queues.tx(0).forward(burst), 1u);
    EXPECT_EQ(memory.m2s_header.tail, 1);
    const std::byte* const copy = reinterpret_cast<const std::byte*>(&memory) + to;
    for (std::size_t i = 0; i < length; ++i) ASSERT_EQ(copy[i], static_cast<std::byte>(50 + i)) << i;
  }
}

}  // namespace
}  // namespace memif::detail
