// A ring as both of its sides see it: two views of the same bytes, without a link. docs/protocol.md, "Shared memory".
#include <cstdint>
#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memif/detail/ring.hpp>

namespace memif {
namespace {

constexpr unsigned log2_size = 3;
constexpr std::uint16_t size = 1 << log2_size;
constexpr std::uint16_t near_the_end = 65534;  // of what an index can count

// Seen from a sender that is a client, unless said otherwise: it writes head, and the server, tail and flags.
class RingTest : public testing::Test {
 protected:
  static std::uint16_t between(std::uint16_t later, std::uint16_t earlier) {
    return static_cast<std::uint16_t>(later - earlier);
  }

  struct {
    wire::RingHeader header{};
    wire::Descriptor descriptors[size]{};
  } memory_;
  Ring client_{&memory_.header, log2_size, true}, server_{&memory_.header, log2_size, false};
};

TEST_F(RingTest, EachSideSeesTheIndexThatTheOtherPublishes) {
  client_.publish(5);
  server_.publish(3);
  EXPECT_EQ(server_.load_peer_index(), 5u);
  EXPECT_EQ(client_.load_peer_index(), 3u);
  EXPECT_EQ(memory_.header.head, 5u);
  EXPECT_EQ(memory_.header.tail, 3u);
}

TEST_F(RingTest, SlotsFollowEachOtherWhereIndicesWrap) {
  for (std::uint16_t i = 0; i < size; ++i)
    EXPECT_EQ(client_.slot(static_cast<std::uint16_t>(near_the_end + i)), (size - 2 + i) % size) << i;
  EXPECT_EQ(client_.descriptor(65535), &memory_.descriptors[size - 1]);
  EXPECT_EQ(client_.descriptor(0), &memory_.descriptors[0]);
}

TEST_F(RingTest, PendingAndFreeSlotsAreCountedAcrossTheWrap) {
  server_.publish(near_the_end);
  client_.publish(near_the_end);
  EXPECT_EQ(between(server_.load_peer_index(), near_the_end), 0u) << "empty";
  client_.publish(static_cast<std::uint16_t>(near_the_end + 5));
  EXPECT_EQ(between(server_.load_peer_index(), near_the_end), 5u);
  client_.publish(static_cast<std::uint16_t>(near_the_end + size));
  EXPECT_EQ(between(server_.load_peer_index(), near_the_end), size) << "full, which is not empty";
  server_.publish(static_cast<std::uint16_t>(near_the_end + 3));
  EXPECT_EQ(size - between(static_cast<std::uint16_t>(near_the_end + size), client_.load_peer_index()), 3);
}

TEST_F(RingTest, KnowsHowManyDescriptorsLieBehindEachOther) {
  EXPECT_EQ(client_.size(), size);
  EXPECT_EQ(client_.until_end(0), size);
  EXPECT_EQ(client_.until_end(size - 1), 1u);
  EXPECT_EQ(client_.until_end(size + 2), size - 2u);
  EXPECT_EQ(client_.until_end(65535), 1u);
}

TEST_F(RingTest, InterruptsAreWantedUnlessTheReceiverMasksThem) {
  EXPECT_TRUE(client_.publish_to_receiver(1)) << "of a ring that is new";
  server_.mask_interrupts();
  EXPECT_FALSE(client_.publish_to_receiver(2));
  EXPECT_EQ(server_.unmask_and_look(), 2u);
  EXPECT_TRUE(client_.publish_to_receiver(3));
  EXPECT_EQ(server_.load_peer_index(), 3u);
}

TEST_F(RingTest, FlagsThatTheProtocolDoesNotHaveMaskNothing) {
  memory_.header.flags = static_cast<std::uint16_t>(~wire::ring_flag_mask_interrupt & ~wire::ring_flag_awake);
  EXPECT_TRUE(client_.publish_to_receiver(1));
}

TEST_F(RingTest, AReceiverThatStaysAwakeIsNotInterruptedUntilItSaysOtherwise) {
  server_.stay_awake();
  EXPECT_EQ(memory_.header.flags, wire::ring_flag_mask_interrupt |
                                      (detail::have_asymmetric_fence() ? wire::ring_flag_awake : std::uint16_t{0}));
  for (std::uint16_t i = 1; i < 4; ++i) {
    EXPECT_FALSE(client_.publish_to_receiver(i));
    EXPECT_EQ(server_.load_peer_index(), i);
  }
  EXPECT_EQ(server_.unmask_and_look(), 3u);
  EXPECT_EQ(memory_.header.flags, 0u);
  EXPECT_TRUE(client_.publish_to_receiver(4));
}

// The other direction: the client receives.
TEST_F(RingTest, AClientThatReceivesWritesTheFlagsForItsServer) {
  client_.mask_interrupts();
  EXPECT_FALSE(server_.publish_to_receiver(1));
  EXPECT_EQ(client_.unmask_and_look(), 1u);
  EXPECT_TRUE(server_.publish_to_receiver(2));
}

TEST_F(RingTest, DescriptorsSayToTheOtherSideWhatWasStored) {
  client_.store_word(size + 1, DescriptorWord::of(1500, true, 7));
  client_.store_offset(size + 1, 0x89abcdef);
  const RawDescriptor copy = server_.load(1);
  EXPECT_EQ(copy.word.length(), 1500u);
  EXPECT_EQ(copy.word.region(), 7u);
  EXPECT_TRUE(copy.word.more());
  EXPECT_EQ(copy.offset, 0x89abcdefu);
  server_.update(1, DescriptorWord::of(60), 64);
  EXPECT_EQ(client_.load(1).word, DescriptorWord::of(60));
  EXPECT_EQ(client_.load(1).offset, 64u);
}

// A line that is left alone stays in the peer's cache. Here it cannot be written at all.
TEST(RingDeathTest, AnUpdateThatChangesNothingWritesNothing) {
  void* const memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  Ring ring(static_cast<wire::RingHeader*>(memory), log2_size, true);
  ring.update(2, DescriptorWord::of(60, true, 1), 64);
  ASSERT_EQ(::mprotect(memory, 4096, PROT_READ), 0);
  const auto update = [&](std::uint32_t length) {
    ring.update(2, DescriptorWord::of(length, true, 1), 64);
    std::_Exit(0);
  };
  EXPECT_EXIT(update(60), testing::ExitedWithCode(0), "");
  EXPECT_DEATH(update(61), "");
  ::munmap(memory, 4096);
}

TEST(RingWithoutMemory, IsEmptyAndFull) {
  const Ring none;
  EXPECT_EQ(none.load_peer_index(), 0u) << "nothing to take, and nothing given back";
  EXPECT_EQ(none.size(), 1u);
  EXPECT_EQ(none.slot(65535), 0u);
}

TEST(RingHeader, IsMadeFoundResetAndDescribed) {
  wire::RingHeader header{};
  EXPECT_FALSE(has_cookie(header));
  make_ring(header);
  EXPECT_TRUE(has_cookie(header));
  header.head = 7;
  header.tail = 5;
  header.flags = 1;
  const RingSnapshot before = snapshot(header);
  EXPECT_EQ(before.head, 7u);
  EXPECT_EQ(before.tail, 5u);
  EXPECT_EQ(before.flags, 1u);
  reset_ring(header);
  EXPECT_EQ(snapshot(header).head, 0u);
  EXPECT_EQ(snapshot(header).tail, 0u);
  EXPECT_EQ(snapshot(header).flags, 1u) << "the receiver's";
  EXPECT_TRUE(has_cookie(header));
}

}  // namespace
}  // namespace memif
