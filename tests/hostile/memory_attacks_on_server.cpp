// What a client writes into the rings, before and during a burst. Index arithmetic is modulo 2^16 throughout.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <unistd.h>

#include "attacks.hpp"

namespace memif::hostile {
namespace {

using C = RawClient;
using Change = std::function<void(volatile Slot&)>;

// One packet of `parts` slots, chained, the last of them changed; then good ones, to show that the ring goes on.
void send_changed(C& c, unsigned parts, const Change& change) {
  until("room in the ring", [&] { return plus(c.s2m.head(), -c.s2m.tail()) <= ring_size - parts; });
  const std::uint16_t head = c.s2m.head();
  for (unsigned i = 0; i < parts; ++i) {
    const std::uint16_t index = plus(head, static_cast<int>(i));
    volatile Slot& slot = c.s2m.slot(index);
    slot.flags = i + 1 < parts ? 1 : 0;
    slot.region = 0;
    slot.length = 64;
    slot.offset = C::buffer(true, index);
    if (i + 1 == parts) change(slot);
  }
  fence();
  c.s2m.head() = plus(head, static_cast<int>(parts));
  c.stream(2 * ring_size);
}

std::function<void(C&)> packet(Change change, unsigned parts = 1) {
  return [=](C& c) { send_changed(c, parts, change); };
}

// Buffers to receive into, one in two of them changed.
std::function<void(C&)> posted(Change change) {
  return [=](C& c) {
    until("the victim has used all buffers", [&] { return c.m2s.head() == c.m2s.tail(); });
    for (std::uint16_t i = 0; i < ring_size; ++i) {
      const std::uint16_t index = plus(c.m2s.head(), i);
      volatile Slot& slot = c.m2s.slot(index);
      slot.flags = 0;
      slot.region = 0;
      slot.length = buffer_size;
      slot.offset = C::buffer(false, index);
      if (i % 2 == 0) change(slot);
    }
    fence();
    c.m2s.head() = plus(c.m2s.head(), ring_size);
  };
}

void chain_without_end(C& c) {
  until("an empty ring", [&] { return c.s2m.head() == c.s2m.tail(); });
  for (std::uint16_t i = 0; i < ring_size; ++i) {
    volatile Slot& slot = c.s2m.slot(i);
    slot.flags = 1;
    slot.region = 0;
    slot.length = 64;
    slot.offset = C::buffer(true, i);
  }
  fence();
  c.s2m.head() = plus(c.s2m.head(), ring_size);
}

// The chain's end is not published with its beginning, and what is published of it changes meanwhile.
void chain_across_the_index(C& c) {
  send_changed(c, 1, [](volatile Slot&) {});
  const std::uint16_t head = c.s2m.head();
  c.send_packet();
  c.s2m.slot(head).flags = 1;
  for (int i = 0; i < 1000; ++i) c.s2m.slot(head).length = static_cast<std::uint32_t>(i % 3);
  c.s2m.slot(head).length = 64;
  c.send_packet();
  until("the victim takes the packet", [&] { return c.s2m.tail() == c.s2m.head(); });
}

template <class T>
std::function<void(C&)> flipping(volatile T& (RawRing::*field)() const, bool s2m) {
  return [=](C& c) {
    c.post_all();
    std::minstd_rand random(1);
    for (int i = 0; i < 500; ++i) {
      ((s2m ? c.s2m : c.m2s).*field)() = static_cast<T>(random());
      if (i % 10 == 0) c.stream(1);
    }
  };
}

// Random words anywhere in rings and descriptors while packets go both ways.
void scribble(C& c) {
  c.post_all();
  std::minstd_rand random(2);
  auto* const words = reinterpret_cast<volatile std::uint16_t*>(c.base);
  for (int i = 0; i < 200'000; ++i) words[random() % 4096] = static_cast<std::uint16_t>(random());
}

// Descriptors only, most of the values nearly right: indices stay good, so the link lives longer.
void scribble_descriptors(C& c) {
  c.post_all();
  std::minstd_rand random(3);
  for (int i = 0; i < 100'000; ++i) {
    volatile Slot& slot = (random() % 2 != 0 ? c.s2m : c.m2s).slot(static_cast<std::uint16_t>(random()));
    switch (random() % 4) {
      case 0:
        slot.flags = static_cast<std::uint16_t>(random() % 2);
        break;
      case 1:
        slot.region = static_cast<std::uint16_t>(random() % 2);
        break;
      case 2:
        slot.length = static_cast<std::uint32_t>(random() % 4096);
        break;
      default:
        slot.offset = static_cast<std::uint32_t>((1 << 20) - random() % 4096);
    }
    if (i % 16 == 0) c.s2m.head() = plus(c.s2m.tail(), 1 + static_cast<int>(random() % 32));
  }
}

void shrink(C& c, off_t to) {
  if (::ftruncate(c.memory, to) != 0) give_up("ftruncate");
}

constexpr off_t buffers_to_server = 16384, buffers_to_client = buffers_to_server + off_t{ring_size} * buffer_size;

struct Corruption {
  const char* name;
  Expected expected;
  std::function<void(C&)> run;
};

const Corruption corruptions[] = {
    {"DescriptorOfNoRegion", dropped_rx, packet([](auto& s) { s.region = 1; })},
    {"DescriptorOfTheLargestRegion", dropped_rx, packet([](auto& s) { s.region = 65535; })},
    {"DescriptorBehindTheRegion", dropped_rx, packet([](auto& s) { s.offset = 1 << 20; })},
    {"DescriptorThatEndsOneByteBehind", dropped_rx, packet([](auto& s) { s.offset = (1 << 20) - 63; })},
    {"DescriptorAtTheLargestOffset", dropped_rx, packet([](auto& s) { s.offset = ~0u; })},
    {"DescriptorThatWrapsIn32Bits", dropped_rx, packet([](auto& s) { s.offset = ~0u - 31; })},
    {"DescriptorOfTheLargestLength", dropped_rx, packet([](auto& s) { s.length = ~0u; })},
    {"DescriptorWhoseSumWrapsToZero", dropped_rx, packet([](auto& s) { s.length = ~0u - s.offset + 1; })},
    {"DescriptorOfLengthZero", dropped_rx, packet([](auto& s) { s.length = 0; })},
    {"ChainWithABadEnd", dropped_rx, packet([](auto& s) { s.offset = ~0u; }, 5)},
    {"ChainWithAnEmptyEnd", dropped_rx, packet([](auto& s) { s.length = 0; }, 3)},
    {"ChainLongerThanAnyArray", {Outcome::dropped_rx}, packet([](auto&) {}, 60)},
    {"ChainWithoutEnd", lost(Errc::broken_ring), chain_without_end},
    {"ChainAcrossThePublishedIndex", harmless, chain_across_the_index},
    {"PacketOfTheWholeRegion", harmless, packet([](auto& s) {
       s.offset = 0;
       s.length = 1 << 20;
     })},
    {"PacketLongerThanIsTaken", dropped_rx,
     packet(
         [](auto& s) {
           s.offset = 0;
           s.length = 1 << 20;  // as much as is taken, but for what precedes it
         },
         3)},
    {"PacketThatIsTheRing", harmless, packet([](auto& s) { s.offset = 0; })},
    {"UnknownFlagsAndMetadata", harmless, packet([](auto& s) {
       s.flags = 0xfffe;
       s.metadata = ~0u;
     })},
    {"SameBufferInEveryPacket", harmless,
     [](C& c) {
       for (int i = 0; i < 5; ++i) send_changed(c, 1, [](auto& s) { s.offset = buffers_to_server; });
     }},
    {"HeadOneTooFar", lost(Errc::broken_ring),
     [](C& c) {  // from a tail that does not move on meanwhile
       until("all packets are taken", [&] { return c.s2m.head() == c.s2m.tail(); });
       c.s2m.head() = plus(c.s2m.tail(), ring_size + 1);
     }},
    {"HeadFarTooFar", lost(Errc::broken_ring), [](C& c) { c.s2m.head() = plus(c.s2m.tail(), 32768); }},
    {"HeadGoesBack", lost(Errc::broken_ring),
     [](C& c) {
       c.stream(1);
       c.s2m.head() = plus(c.s2m.tail(), -1);
     }},
    {"TailOfTheVictimOverwritten", harmless,
     [](C& c) {
       c.s2m.tail() = 12345;
       c.m2s.tail() = 54321;
     }},

    {"PostedInNoRegion", dropped_tx, posted([](auto& s) { s.region = 1; })},
    {"PostedInTheLargestRegion", dropped_tx, posted([](auto& s) { s.region = 65535; })},
    {"PostedBehindTheRegion", dropped_tx, posted([](auto& s) { s.offset = 1 << 20; })},
    {"PostedThatEndsOneByteBehind", dropped_tx, posted([](auto& s) { s.offset = (1 << 20) - buffer_size + 1; })},
    {"PostedAtTheLargestOffset", dropped_tx, posted([](auto& s) { s.offset = ~0u; })},
    {"PostedOfTheLargestLength", dropped_tx, posted([](auto& s) { s.length = ~0u; })},
    {"PostedWhoseSumWrapsToZero", dropped_tx, posted([](auto& s) { s.length = ~0u - s.offset + 1; })},
    {"PostedOfLengthZero", dropped_tx, posted([](auto& s) { s.length = 0; })},
    {"PostedOfOneByte", harmless, posted([](auto& s) { s.length = 1; })},
    {"PostedWithNext", harmless, posted([](auto& s) { s.flags = 0xffff; })},
    {"PostedInManyAtTheSamePlace", harmless, posted([](auto& s) { s.offset = buffers_to_client; })},
    {"PostedOverTheRings", contained, posted([](auto& s) { s.offset = 0; })},
    {"PostedIndexOneTooFar", lost(Errc::broken_ring),
     [](C& c) {
       c.post_all();
       until("all buffers are used", [&] { return c.m2s.head() == c.m2s.tail(); });
       c.m2s.head() = plus(c.m2s.tail(), ring_size + 1);
     }},
    {"PostedIndexGoesBack", lost(Errc::broken_ring),
     [](C& c) {
       c.post_all();
       until("all buffers are used", [&] { return c.m2s.head() == c.m2s.tail(); });
       c.m2s.head() = plus(c.m2s.tail(), -1);
     }},

    {"FlagsFlip", harmless, flipping<std::uint16_t>(&RawRing::flags, true)},
    {"FlagsOfTheOtherRingFlip", harmless, flipping<std::uint16_t>(&RawRing::flags, false)},
    {"CookieFlips", harmless, flipping<std::uint32_t>(&RawRing::cookie, true)},
    {"Scribbling", contained, scribble},
    {"ScribblingOverDescriptors", contained, scribble_descriptors},
};

const Corruption truncations[] = {
    {"AllMemoryVanishes", lost(Errc::truncated_memory), [](C& c) { shrink(c, 0); }},
    {"BuffersVanish", lost(Errc::truncated_memory),
     [](C& c) {
       shrink(c, buffers_to_server);
       until("room in the ring", [&] { return c.s2m.head() == c.s2m.tail(); });
       for (std::uint16_t i = 0; i < ring_size; ++i) {
         volatile Slot& slot = c.s2m.slot(plus(c.s2m.head(), i));
         slot.length = 64;
         slot.offset = C::buffer(true, i);
       }
       fence();
       c.s2m.head() = plus(c.s2m.head(), ring_size);
     }},
    {"PostedBuffersVanish", lost(Errc::truncated_memory),
     [](C& c) {
       shrink(c, buffers_to_client);
       c.post_all();
     }},
    {"MemoryVanishesAndComesBack", lost(Errc::truncated_memory),
     [](C& c) {
       shrink(c, 0);
       until("the victim notices", [&] { return c.hung_up(); });
       shrink(c, 1 << 20);
     }},
};

std::vector<AttackOnServer> make_attacks() {
  std::vector<AttackOnServer> attacks;
  const auto add = [&](const Corruption& corruption, bool seal) {
    attacks.push_back({std::string(corruption.name) + "AtOnce", corruption.expected, [&corruption, seal](C& c) {
                         c.seal = seal;
                         c.connect();
                         corruption.run(c);
                       }});
    attacks.push_back({std::string(corruption.name) + "DuringTraffic", corruption.expected, [&corruption, seal](C& c) {
                         c.seal = seal;
                         c.connect();
                         c.post_all();
                         c.stream(1000);
                         for (int i = 0; i < 20; ++i) c.send_packet();
                         corruption.run(c);
                       }});
  };
  for (const Corruption& corruption : corruptions) add(corruption, true);
  for (const Corruption& corruption : truncations) add(corruption, false);
  attacks.push_back({"MemoryVanishesBeforeConnecting", refused(Errc::truncated_memory), [](C& c) {
                       c.seal = false;
                       c.rings();
                       shrink(c, 0);
                       c.send(message::Connect{"x"});
                     }});
  return attacks;
}

}  // namespace

std::span<const AttackOnServer> memory_attacks_on_server() {
  static const std::vector<AttackOnServer> attacks = make_attacks();
  return attacks;
}

}  // namespace memif::hostile
