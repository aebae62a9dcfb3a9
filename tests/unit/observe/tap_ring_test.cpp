// Rings read beside the two that use them: what is handed out was not overwritten, and all else is counted.
#include "observe/tap_ring.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <memif/detail/wire.hpp>

namespace memif {
namespace {

using detail::TapRing;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint32_t ring_size = 16, buffer_size = 256, buffers_at = 4096;
constexpr std::uint32_t prepared = ring_size / 2;  // what the filler is taken to prepare at most

using Packets = std::vector<std::pair<std::string, std::uint64_t>>;  // bytes kept, length

// A ring and its buffers as two other processes leave them.
class Memory : public detail::TapSource {
 public:
  Memory() : bytes_(buffers_at + (ring_size + 1) * buffer_size) {
    header().cookie = wire::ring_cookie;
    for (std::uint16_t i = 0; i != ring_size; ++i) post(i);
  }

  bool read(std::uint16_t region, std::uint64_t offset, void* to, std::size_t size) override {
    if (region != 0 || size > bytes_.size() || offset > bytes_.size() - size) return false;
    std::memcpy(to, bytes_.data() + offset, size);
    if (offset >= buffers_at && on_packet_read) std::exchange(on_packet_read, nullptr)();
    return true;
  }
  std::uint64_t size(std::uint16_t region) override { return region == 0 ? bytes_.size() : 0; }
  std::optional<std::uint64_t> counted() override { return packets; }

  wire::RingHeader& header() { return *reinterpret_cast<wire::RingHeader*>(bytes_.data()); }
  wire::Descriptor& descriptor(std::size_t index) {
    return reinterpret_cast<wire::Descriptor*>(&header() + 1)[index % ring_size];
  }
  std::byte* buffer(std::size_t slot) { return bytes_.data() + buffers_at + slot % ring_size * buffer_size; }

  void describe(std::size_t index, std::uint32_t length, bool more = false, std::uint16_t region = 0) {
    descriptor(index).word0 = DescriptorWord::of(length, more, region).value;
  }
  // As it is with nothing in it.
  void post(std::size_t index) {
    descriptor(index).offset = static_cast<std::uint32_t>(buffer(index) - bytes_.data());
    describe(index, buffer_size);
  }
  void put(std::size_t index, const std::string& text, bool more = false) {
    std::memcpy(buffer(index), text.data(), text.size());
    describe(index, static_cast<std::uint32_t>(text.size()), more);
  }

  // A client sends.
  void send(const std::string& text, bool more = false) {
    put(header().head, text, more);
    ++header().head;
    packets = *packets + (more ? 0 : 1);
  }
  void take_all() { header().tail = header().head; }

  std::vector<std::byte>& bytes() { return bytes_; }
  std::optional<std::uint64_t> packets = 0;
  std::function<void()> on_packet_read;

 private:
  std::vector<std::byte> bytes_;
};

class TapRingTest : public testing::Test {
 protected:
  static TapRing::Place place(bool to_server, bool stays = true) {
    return {.ring_size = ring_size, .to_server = to_server, .stays = stays};
  }
  Packets look(TapRing& ring) {
    Packets seen;
    readable = ring.look(memory, [&](std::span<const std::byte> kept, std::uint64_t size) {
      seen.emplace_back(std::string(reinterpret_cast<const char*>(kept.data()), kept.size()), size);
    });
    return seen;
  }

  Memory memory;
  bool readable = false;
  TapRing sent{place(true), Mode::ethernet, 64, true};  // by a client, from the beginning
};

// A client's ring whose descriptors all name the same few bytes: little memory, and far more to read.
class SameBytes : public detail::TapSource {
 public:
  static constexpr std::uint32_t ring_size = 4096, length = 64;

  SameBytes() : bytes_(wire::ring_bytes(12) + length) {
    auto& ring = *reinterpret_cast<wire::RingHeader*>(bytes_.data());
    ring.cookie = wire::ring_cookie;
    auto* const descriptors = reinterpret_cast<wire::Descriptor*>(&ring + 1);
    for (std::uint32_t i = 0; i != ring_size; ++i) {
      descriptors[i].word0 = DescriptorWord::of(length).value;
      descriptors[i].offset = static_cast<std::uint32_t>(wire::ring_bytes(12));
    }
  }
  void send(std::uint16_t packets) {
    auto& ring = *reinterpret_cast<wire::RingHeader*>(bytes_.data());
    ring.head = static_cast<std::uint16_t>(ring.head + packets);
  }
  bool read(std::uint16_t region, std::uint64_t offset, void* to, std::size_t size) override {
    if (region != 0 || size > bytes_.size() || offset > bytes_.size() - size) return false;
    std::memcpy(to, bytes_.data() + offset, size);
    return true;
  }
  std::uint64_t size(std::uint16_t region) override { return region == 0 ? bytes_.size() : 0; }
  std::optional<std::uint64_t> counted() override { return std::nullopt; }

 private:
  std::vector<std::byte> bytes_;
};

TEST(TapRingInTime, LeavesTheRestToTheNextLook) {
  SameBytes memory;
  TapRing ring({.ring_size = SameBytes::ring_size, .to_server = true, .stays = true}, Mode::ethernet, 16, true);
  const auto look = [&] {
    std::size_t packets = 0;
    EXPECT_TRUE(ring.look(
        memory, [&](auto, std::uint64_t) { ++packets; }, TapRing::Time::min()));
    return packets;
  };
  EXPECT_EQ(look(), 0u);
  EXPECT_FALSE(ring.behind());
  memory.send(3000);
  EXPECT_EQ(look(), 1024u);
  EXPECT_TRUE(ring.behind());
  EXPECT_EQ(look(), 1024u);
  EXPECT_EQ(look(), 3000u - 2 * 1024);
  EXPECT_FALSE(ring.behind());
  memory.send(1090);
  EXPECT_EQ(look(), 1024u);
  ring.give_up();
  EXPECT_FALSE(ring.behind());
  EXPECT_EQ(ring.counts().packets, 3000u + 1024);
  EXPECT_EQ(ring.counts().missed, 1090u - 1024);
}

TEST_F(TapRingTest, WhatAppearsIsHandedOutOnce) {
  EXPECT_THAT(look(sent), IsEmpty());
  memory.send("one");
  memory.send("two");
  EXPECT_THAT(look(sent), ElementsAre(std::pair("one", 3), std::pair("two", 3)));
  memory.take_all();
  EXPECT_THAT(look(sent), IsEmpty());
  EXPECT_TRUE(readable);
  EXPECT_EQ(sent.counts().packets, 2u);
}

TEST_F(TapRingTest, WhatWasThereBeforeTheFirstLookIsNotNew) {
  memory.send("old");
  TapRing ring(place(true), Mode::ethernet, 64, false);
  EXPECT_THAT(look(ring), IsEmpty());
  memory.send("new");
  EXPECT_THAT(look(ring), ElementsAre(std::pair("new", 3)));
  EXPECT_EQ(ring.counts().missed, 0u);
}

TEST_F(TapRingTest, OfALongPacketTheFirstBytesAreKept) {
  memory.send(std::string(200, 'x'));
  EXPECT_THAT(look(sent), ElementsAre(std::pair(std::string(64, 'x'), 200)));
}

TEST_F(TapRingTest, APacketInPartsAcrossTheEndOfTheRing) {
  for (int i = 0; i != 15; ++i) memory.send("x");
  look(sent);
  memory.take_all();
  memory.send("ab", true);
  EXPECT_THAT(look(sent), IsEmpty());  // its end is not there yet
  memory.send("cd", true);
  memory.send("e");
  EXPECT_THAT(look(sent), ElementsAre(std::pair("abcde", 5)));
  EXPECT_EQ(sent.counts().invalid, 0u);
}

// The filler may be writing into the slots that come next.
TEST_F(TapRingTest, WhatWasOverwrittenIsMissed) {
  for (std::uint32_t i = 0; i != ring_size + 4; ++i) {
    memory.send(std::string(1, static_cast<char>('a' + i)));
    memory.take_all();
  }
  const auto seen = look(sent);
  ASSERT_EQ(seen.size(), ring_size - prepared);
  EXPECT_EQ(seen.back().first, std::string(1, static_cast<char>('a' + ring_size + 3)));
  EXPECT_EQ(sent.counts().missed, ring_size + 4 - seen.size());
}

TEST_F(TapRingTest, NothingIsMissedOfWhatTheReceiverHasNotGivenBack) {
  for (std::uint32_t i = 0; i != ring_size; ++i) memory.send("x");
  EXPECT_EQ(look(sent).size(), ring_size);
  EXPECT_EQ(sent.counts().missed, 0u);
}

TEST_F(TapRingTest, WhatIsOverwrittenWhileItIsReadIsMissed) {
  memory.send("good");
  memory.take_all();
  memory.on_packet_read = [this] {
    for (std::uint32_t i = 0; i != ring_size; ++i) memory.send("bad!");
    memory.take_all();
  };
  EXPECT_THAT(look(sent), IsEmpty());
  EXPECT_EQ(sent.counts().missed, 1u);
}

TEST_F(TapRingTest, AnIndexThatHasGoneRoundIsKnownByTheCounter) {
  look(sent);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  memory.send("x");
  memory.take_all();
  memory.packets = *memory.packets + 65536;
  look(sent);
  EXPECT_EQ(sent.counts().packets + sent.counts().missed, 65537u);
}

TEST_F(TapRingTest, ACounterDoesNotSayMoreThanCanBe) {
  look(sent);
  memory.send("x");
  memory.packets = ~std::uint64_t{0};
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  look(sent);
  EXPECT_LT(sent.counts().missed, std::uint64_t{1} << 40);
}

TEST_F(TapRingTest, BadDescriptorsCostTheirPackets) {
  memory.send("x");
  memory.describe(0, 4, false, 7);
  memory.send("y");
  memory.describe(1, 0);
  memory.send("z");
  memory.descriptor(2).offset = 0xffffffff;
  memory.send("w", true);
  memory.describe(3, 0xffffffff, true);
  memory.send("rest of w");
  memory.send("good");
  EXPECT_THAT(look(sent), ElementsAre(std::pair("good", 4)));
  EXPECT_EQ(sent.counts().invalid, 4u);
}

TEST_F(TapRingTest, IndicesThatCannotBeAreNotFollowed) {
  memory.send("x");
  memory.header().head = 40;
  EXPECT_THAT(look(sent), IsEmpty());
  EXPECT_FALSE(readable);
  memory.header().head = 1;
  EXPECT_THAT(look(sent), ElementsAre(std::pair("x", 1)));
  memory.header().cookie = 0;
  look(sent);
  EXPECT_FALSE(readable);
}

TEST_F(TapRingTest, BuffersThatMoveAreReadUntilTheyAreGivenBack) {
  TapRing ring(place(true, false), Mode::ethernet, 64, true);
  for (std::uint32_t i = 0; i != ring_size; ++i) memory.send("x");
  look(ring);
  memory.take_all();
  memory.send("held");
  std::swap(memory.descriptor(0).offset, memory.descriptor(1).offset);
  std::memcpy(memory.buffer(1), "held", 4);
  EXPECT_THAT(look(ring), ElementsAre(std::pair("held", 4)));
  memory.send("gone");
  memory.take_all();
  EXPECT_THAT(look(ring), IsEmpty());
  EXPECT_EQ(ring.counts().missed, 1u);
}

// --- A client receives: it posts each buffer again once it has the packet, and then the slot has lost its length ---

class TapOfAClientsReceiving : public TapRingTest {
 protected:
  TapOfAClientsReceiving() {
    memory.header().head = ring_size;
    look(received);
  }
  static std::string ip_packet(std::size_t size) {
    std::string packet(14 + size, 'p');
    packet[12] = 8, packet[13] = 0;
    packet[14] = 0x45, packet[15] = 0;
    packet[16] = static_cast<char>(size >> 8), packet[17] = static_cast<char>(size);
    return packet;
  }
  void arrive(const std::string& packet) {
    memory.put(memory.header().tail, packet);
    ++memory.header().tail;
  }

  TapRing received{place(false), Mode::ethernet, 2048, true};
};

TEST_F(TapOfAClientsReceiving, WhatIsStillThereHasItsLength) {
  arrive("not IP");
  EXPECT_THAT(look(received), ElementsAre(std::pair("not IP", 6)));
  EXPECT_EQ(received.counts().inferred, 0u);
}

TEST_F(TapOfAClientsReceiving, OfWhatWasTakenTheHeadersSayTheLength) {
  const std::string packet = ip_packet(100);
  arrive(packet);
  memory.describe(0, buffer_size);
  ++memory.header().head;
  EXPECT_THAT(look(received), ElementsAre(std::pair(packet, 114)));
  EXPECT_EQ(received.counts().inferred, 1u);
}

TEST_F(TapOfAClientsReceiving, AlsoOfPartsWhoseFlagsAreGone) {
  std::string packet = ip_packet(500);
  for (std::size_t i = 0; i < packet.size(); i += buffer_size) arrive(packet.substr(i, buffer_size));
  arrive(ip_packet(20));
  for (std::size_t i = 0; i != 4; ++i) memory.describe(i, buffer_size);
  memory.header().head = ring_size + 4;
  EXPECT_THAT(look(received), ElementsAre(std::pair(packet, 514), std::pair(ip_packet(20), 34)));
}

TEST_F(TapOfAClientsReceiving, WhatSaysNoLengthIsMissed) {
  arrive("not IP");
  arrive(ip_packet(60000).substr(0, buffer_size));  // and there is not so much
  for (std::size_t i = 0; i != 2; ++i) memory.describe(i, buffer_size);
  memory.header().head = ring_size + 2;
  EXPECT_THAT(look(received), IsEmpty());
  EXPECT_EQ(received.counts().missed, 2u);
}

TEST_F(TapOfAClientsReceiving, AnotherBufferInTheSlotIsNotThePacket) {
  arrive(ip_packet(100));
  memory.post(0);
  memory.descriptor(0).offset = buffers_at + ring_size * buffer_size;
  ++memory.header().head;
  EXPECT_THAT(look(received), IsEmpty());
  EXPECT_EQ(received.counts().missed, 1u);
}

TEST_F(TapRingTest, RandomBytesAreNeverFollowedOutOfBounds) {
  std::mt19937_64 random(1);
  for (int round = 0; round != 3000; ++round) {
    TapRing ring(place(round % 2 == 0, round % 3 == 0), Mode::ethernet, 64, round % 5 != 0);
    for (int step = 0; step != 8; ++step) {
      for (std::uint32_t i = 0; i != ring_size; ++i) {
        memory.descriptor(i).word0 = random() & (random() % 2 != 0 ? 0x1ff'0000'0001 : ~std::uint64_t{0});
        if (random() % 2 != 0) memory.descriptor(i).offset = static_cast<std::uint32_t>(random());
      }
      memory.header().cookie = wire::ring_cookie;
      memory.header().tail = static_cast<std::uint16_t>(random());
      memory.header().head = static_cast<std::uint16_t>(memory.header().tail + random() % (ring_size + 1));
      for (const auto& [kept, size] : look(ring)) {
        ASSERT_LE(kept.size(), 64u);
        ASSERT_LE(kept.size(), size);
      }
    }
  }
}

}  // namespace
}  // namespace memif
