// What a call loads of the memory that the peer can write, and how often. docs/security.md, "Single loads".
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <thread>

#include "watched_link.hpp"

namespace memif::test {
namespace {

using Direction = WatchedLink::Direction;
using testing::Each;
using testing::Le;

// Slots `first` and so on were loaded so often, all others never.
void expect_loads(const Loads::OfRing& loads, unsigned first, const std::vector<unsigned>& wanted) {
  std::array<unsigned, ring_size> all{};
  for (std::size_t i = 0; i < wanted.size(); ++i) all[(first + i) % ring_size] = wanted[i];
  EXPECT_EQ(loads.descriptors, all);
}

void expect_none(const Loads::OfRing& loads) {
  EXPECT_EQ(loads.index, 0u);
  EXPECT_EQ(loads.flags, 0u);
  expect_loads(loads, 0, {});
}

class SingleLoads : public testing::TestWithParam<Role> {
 protected:
  bool client() const { return GetParam() == Role::client; }

  // The peer sends packets of these numbers of buffers.
  void arrive(const std::vector<unsigned>& parts) {
    unsigned total = 0;
    for (const unsigned count : parts)
      for (unsigned i = 1; i <= count; ++i) link.describe(Direction::rx, arrived_ + total++, 100, i != count);
    link.advance(Direction::rx, total);
    arrived_ += total;
  }
  // The peer has room for `count` packets: it posts buffers, or has taken what was sent.
  void make_room(unsigned count) { link.advance(Direction::tx, count); }

  std::size_t receive(std::size_t most = ring_size) {
    link.clear();
    return link.rx().receive(std::span(buffers).first(most)).size();
  }

  // A server learns of a region at the first buffer in it, by a second look.
  void begin() {
    arrive({1, 1, 1});
    ASSERT_EQ(receive(), 3u);
    make_room(client() ? 0 : 3);
    ASSERT_EQ(link.tx().allocate(buffers, 100, 3).send(), 3u);
    if (client()) make_room(3);
    link.clear();
  }

  WatchedLink link{GetParam()};
  std::array<Buffer, ring_size> buffers;

 private:
  unsigned arrived_ = 0;
};

TEST_P(SingleLoads, OfTheIndexAndOfEachDescriptorInAReceivedBurst) {
  begin();
  arrive({1, 1, 1, 1, 1});
  EXPECT_EQ(receive(), 5u);
  EXPECT_EQ(link.loads().rx.index, 1u);
  EXPECT_EQ(link.loads().rx.flags, 0u);
  expect_loads(link.loads().rx, 3, {1, 1, 1, 1, 1});
  expect_none(link.loads().tx);
  EXPECT_EQ(link.loads().elsewhere, 0u);
}

TEST_P(SingleLoads, OfTheIndexOnlyWhenWhatIsKnownIsUsedUp) {
  begin();
  arrive({1, 1, 1, 1, 1});
  EXPECT_EQ(receive(2), 2u);
  EXPECT_EQ(link.loads().rx.index, 1u);
  EXPECT_EQ(receive(2), 2u);
  EXPECT_EQ(link.loads().rx.index, 0u);
  expect_loads(link.loads().rx, 5, {1, 1});
  EXPECT_EQ(receive(2), 1u);
  EXPECT_EQ(link.loads().rx.index, 0u);
  EXPECT_EQ(receive(2), 0u);
  EXPECT_EQ(link.loads().rx.index, 1u);
  expect_loads(link.loads().rx, 0, {});
}

TEST_P(SingleLoads, AroundTheEndOfTheRing) {
  begin();
  for (int i = 0; i < 2; ++i) {
    arrive({1, 1, 1, 1, 1});
    EXPECT_EQ(receive(), 5u);
  }
  arrive({1, 1, 1, 1, 1});
  EXPECT_EQ(receive(), 5u);
  EXPECT_EQ(link.loads().rx.index, 1u);
  expect_loads(link.loads().rx, 13, {1, 1, 1, 1, 1});
}

// Where a packet is not the usual, its first buffer is looked at anew, and only the second copy is used.
TEST_P(SingleLoads, ExceptOfTheFirstBufferOfAChain) {
  begin();
  arrive({1, 3, 1});
  EXPECT_EQ(receive(), 3u);
  EXPECT_EQ(link.loads().rx.index, 1u);
  expect_loads(link.loads().rx, 3, {1, 2, 1, 1, 1});
}

TEST_P(SingleLoads, ExceptOfADescriptorThatLies) {
  begin();
  link.describe(Direction::rx, 4, 0);
  arrive({1});
  link.advance(Direction::rx, 2);
  link.describe(Direction::rx, 5, 100);
  EXPECT_EQ(receive(), 2u);
  EXPECT_EQ(link.rx().counters().dropped_descriptor.get(), 1u);
  EXPECT_EQ(link.loads().rx.index, 1u);
  expect_loads(link.loads().rx, 3, {1, 2, 1});
}

TEST_P(SingleLoads, OfEachPostedBufferAndOfTheFlagsInASentBurst) {
  begin();
  if (!client()) make_room(5);
  TxBurst burst = link.tx().allocate(buffers, 100, 5);
  ASSERT_EQ(burst.size(), 5u);
  // A client goes by its own table, and knows of more room.
  EXPECT_EQ(link.loads().tx.index, client() ? 0u : 1u);
  expect_loads(link.loads().tx, 3, client() ? std::vector<unsigned>{} : std::vector<unsigned>{1, 1, 1, 1, 1});
  EXPECT_EQ(link.loads().tx.flags, 0u);

  link.clear();
  EXPECT_EQ(burst.send(), 5u);
  EXPECT_EQ(link.loads().tx.index, 0u);
  EXPECT_EQ(link.loads().tx.flags, 1u);
  expect_loads(link.loads().tx, 0, {});
  expect_none(link.loads().rx);
  EXPECT_EQ(link.loads().elsewhere, 0u);
}

TEST_P(SingleLoads, OfTheIndexWhenNoRoomIsKnown) {
  begin();
  if (!client()) make_room(2);
  while (!link.tx().allocate(buffers, 100, 2).empty()) {
    TxBurst burst = link.tx().allocate(buffers, 100, 2);
    burst.send();
  }
  link.clear();
  EXPECT_TRUE(link.tx().allocate(buffers, 100, 2).empty());
  EXPECT_LE(link.loads().tx.index, client() ? 1u : 2u);
  EXPECT_GE(link.loads().tx.index, 1u);
  expect_loads(link.loads().tx, 0, {});
}

// Whatever a descriptor says at other times: each length handed out is that of the one load that counts.
TEST_P(SingleLoads, SoThatWhatWasCheckedIsWhatIsUsed) {
  begin();
  static std::uint32_t length;
  length = 1;
  link.meddle = [](wire::Descriptor& descriptor) { descriptor.word0 = DescriptorWord::of(length++, false, 0).value; };
  arrive({1, 1, 1, 1, 1});
  std::vector<std::uint32_t> lengths;
  link.rx().raw().take(
      ring_size, [&](std::size_t, std::byte*, DescriptorWord word, auto...) { lengths.push_back(word.length()); });
  EXPECT_EQ(lengths, (std::vector<std::uint32_t>{1, 2, 3, 4, 5}));
  if (client()) return;
  make_room(3);
  length = 101;
  // Here each leaves the fast path, which is for buffers like the last: what its second look saw is still there.
  std::vector<std::uint32_t> capacities, last;
  link.tx().raw().peek(
      3, 100, ring_size, 0, [&](std::size_t, std::byte*, DescriptorWord, std::uint32_t capacity, std::size_t slot) {
        capacities.push_back(capacity);
        last.push_back(DescriptorWord{link.descriptor(Direction::tx, static_cast<unsigned>(slot)).word0}.length());
      });
  EXPECT_EQ(capacities.size(), 3u);
  EXPECT_EQ(capacities, last);
}

// A posted buffer that is bad goes back at once, and the ring begins behind it. That the peer mends it meanwhile does
// not make the call begin with it again: what is shown is always what the next send() publishes.
TEST_P(SingleLoads, SoThatABufferThatWentBackIsNotShownWhenItIsMended) {
  begin();
  static unsigned looks;
  looks = 0;
  static wire::Descriptor* bad;
  bad = &link.descriptor(Direction::tx, 3);
  link.meddle = [](wire::Descriptor& descriptor) {
    if (&descriptor != bad) return;
    // The fast path, the second look, and the look at what goes back find it bad.
    descriptor.word0 = DescriptorWord::of(++looks <= 3 ? 0 : buffer_size, false, 0).value;
  };
  make_room(2);
  const auto shown = [&] {
    std::vector<std::size_t> slots;
    link.tx().raw().peek(3, 100, ring_size, 0,
                         [&](std::size_t, std::byte*, DescriptorWord, std::uint32_t, std::size_t slot) {
                           EXPECT_EQ(slot, link.tx().raw().slot(slots.size()));
                           slots.push_back(slot);
                         });
    return slots;
  };
  if (client()) {  // it goes by its own table
    EXPECT_EQ(shown(), (std::vector<std::size_t>{3, 4, 5}));
    return;
  }
  EXPECT_TRUE(shown().empty());
  EXPECT_EQ(link.tx().counters().dropped_buffer.get(), 1u);
  EXPECT_EQ(shown(), std::vector<std::size_t>{4});
}

// While another thread changes every descriptor, as fast as it can.
class SingleLoadsThreads : public SingleLoads {
 protected:
  void SetUp() override {
    begin();
    meddler_ = std::thread([this] {
      std::minstd_rand random(5);
      while (!stop_.load(std::memory_order_relaxed)) {
        const Direction ring = random() % 2 != 0 ? Direction::rx : Direction::tx;
        link.describe(ring, static_cast<unsigned>(random()), static_cast<std::uint32_t>(random() % (2 * buffer_size)),
                      chains_.load(std::memory_order_relaxed) && random() % 2 != 0,
                      static_cast<std::uint16_t>(random() % 8 == 0 ? 1 : 0));
      }
    });
  }
  void TearDown() override {
    stop_.store(true, std::memory_order_relaxed);
    meddler_.join();
  }

  // A fresh link for each burst, since many a burst ends it. `index_loads`: at most so many in a call.
  void run(unsigned index_loads) {
    for (unsigned i = 0; i < 3000 && !HasFailure(); ++i) {
      link.reconnect();
      receive_one_burst(1 + i % ring_size, index_loads);
      send_one_burst();
    }
  }

  std::atomic<bool> chains_{false};

 private:
  auto sink() {
    return [this](std::size_t, std::byte* data, DescriptorWord, std::uint32_t capacity, auto...) {
      EXPECT_TRUE(link.inside(data, capacity));
    };
  }

  void receive_one_burst(unsigned count, unsigned index_loads) {
    link.advance(Direction::rx, count);
    link.clear();
    link.rx().raw().take(ring_size, sink());
    EXPECT_LE(link.loads().rx.index, index_loads);
    EXPECT_THAT(link.loads().rx.descriptors, Each(Le(2u)));
    EXPECT_EQ(link.loads().rx.flags, 0u);
    expect_none(link.loads().tx);
  }

  // A posted buffer that cannot be used is looked at once more when it goes back.
  void send_one_burst() {
    if (!client()) make_room(ring_size);
    link.clear();
    TxBurst burst = link.tx().allocate(buffers, 100, 8);
    EXPECT_LE(link.loads().tx.index, client() ? 0u : 2u);
    EXPECT_THAT(link.loads().tx.descriptors, Each(Le(client() ? 0u : 3u)));
    for (const Buffer& buffer : burst.buffers()) EXPECT_TRUE(link.inside(buffer.data(), buffer.capacity()));
    link.clear();
    const std::size_t packets = burst.size();
    EXPECT_EQ(burst.send(), packets);
    EXPECT_EQ(link.loads().tx.index, 0u);
    EXPECT_EQ(link.loads().tx.flags, packets != 0 ? 1u : 0u);
    expect_loads(link.loads().tx, 0, {});
  }

  std::atomic<bool> stop_{false};
  std::thread meddler_;
};

TEST_P(SingleLoadsThreads, OfTheIndex) { run(1); }

// A chain that goes on beyond what is known makes a second look.
TEST_P(SingleLoadsThreads, OfTheIndexAndOneMoreForAnUnfinishedChain) {
  chains_.store(true, std::memory_order_relaxed);
  run(2);
}

const auto name_of = [](const auto& role) { return role.param == Role::server ? "Server" : "Client"; };
INSTANTIATE_TEST_SUITE_P(Roles, SingleLoads, testing::Values(Role::server, Role::client), name_of);
INSTANTIATE_TEST_SUITE_P(Roles, SingleLoadsThreads, testing::Values(Role::server, Role::client), name_of);

}  // namespace
}  // namespace memif::test
