// What an evil server writes into the client's memory: all of it is mapped there.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

#include "attacks.hpp"

namespace memif::hostile {
namespace {

using S = RawServer;
using Change = std::function<void(volatile Slot&)>;

bool all_posted(const S& s) { return plus(s.m2s.head(), -s.m2s.tail()) == ring_size; }

// Good bytes where the client posted its buffer, and a descriptor that says something else.
std::function<void(S&)> packet(Change change, unsigned parts = 1) {
  return [=](S& s) {
    until("the client posts all again", [&] { return all_posted(s); });
    const std::uint16_t tail = s.m2s.tail();
    for (unsigned i = 0; i < parts; ++i) {
      volatile Slot& slot = s.m2s.slot(plus(tail, static_cast<int>(i)));
      std::memcpy(s.regions.back().base + slot.offset, "GOOD", 4);
      slot.flags = i + 1 < parts ? 1 : 0;
      slot.length = 64;
      if (i + 1 == parts) change(slot);
    }
    fence();
    s.m2s.tail() = plus(tail, static_cast<int>(parts));
    until("the client posts all again", [&] { return all_posted(s); });
  };
}

// Full buffers, and together more than a client takes that is attacked here.
void long_packet(S& s) {
  static_assert(17 * buffer_size > clients_max_packet && 17 < ring_size);
  until("the client posts all again", [&] { return all_posted(s); });
  const std::uint16_t tail = s.m2s.tail();
  for (int i = 0; i < 17; ++i) {
    volatile Slot& slot = s.m2s.slot(plus(tail, i));
    slot.flags = i < 16 ? 1 : 0;
    slot.length = buffer_size;
  }
  fence();
  s.m2s.tail() = plus(tail, 17);
  s.stream(ring_size);
}

// All packets say that they are at another place, where other bytes are.
void move_every_descriptor(S& s) {
  auto& buffers = s.regions.back();
  const auto other = static_cast<std::uint32_t>(buffers.size - 4096);
  std::vector<std::uint32_t> offsets;
  for (std::uint16_t i = 0; i < ring_size; ++i) offsets.push_back(std::uint32_t{s.m2s.slot(i).offset});
  for (int round = 0; round < 20; ++round) {
    until("the client posts all again", [&] { return all_posted(s); });
    const std::uint16_t tail = s.m2s.tail();
    for (int i = 0; i < 32; ++i) {
      const std::uint16_t index = plus(tail, i);
      std::memcpy(buffers.base + other, "EVIL", 4);
      std::memcpy(buffers.base + offsets[index % ring_size], "GOOD", 4);
      volatile Slot& slot = s.m2s.slot(index);
      slot.offset = round % 2 != 0 ? other : ~0u;
      slot.region = static_cast<std::uint16_t>(round % 3);
      slot.length = 64;
    }
    fence();
    s.m2s.tail() = plus(tail, 32);
  }
  until("the client posts all again", [&] { return all_posted(s); });
}

// The client's own transmit descriptors, which it must not read back.
void move_transmit_descriptors(S& s) {
  for (int round = 0; round < 200; ++round) {
    for (std::uint16_t i = 0; i < ring_size; ++i) {
      volatile Slot& slot = s.s2m.slot(i);
      slot.offset = ~0u;
      slot.region = 9;
      slot.length = ~0u;
      slot.flags = 0xffff;
    }
    s.s2m.tail() = s.s2m.head();
  }
}

void chain_without_end(S& s) {
  until("the client posts all again", [&] { return all_posted(s); });
  for (std::uint16_t i = 0; i < ring_size; ++i) {
    s.m2s.slot(i).length = 64;
    s.m2s.slot(i).flags = 1;
  }
  fence();
  s.m2s.tail() = plus(s.m2s.tail(), ring_size);
}

void fill_transmit_ring(S& s) {
  until("the client's ring is full", [&] { return plus(s.s2m.head(), -s.s2m.tail()) == ring_size; });
}

template <class T>
std::function<void(S&)> flipping(volatile T& (RawRing::*field)() const, bool to_server) {
  return [=](S& s) {
    std::minstd_rand random(1);
    for (int i = 0; i < 500; ++i) {
      ((to_server ? s.s2m : s.m2s).*field)() = static_cast<T>(random());
      if (to_server) s.s2m.tail() = s.s2m.head();
      if (i % 10 == 0 && !to_server) s.stream(1);
    }
  };
}

void scribble(S& s) {
  std::minstd_rand random(2);
  auto* const words = reinterpret_cast<volatile std::uint16_t*>(s.regions.at(0).base);
  const std::size_t count = s.regions.at(0).size / 2;
  for (int i = 0; i < 200'000; ++i) words[random() % count] = static_cast<std::uint16_t>(random());
}

void scribble_descriptors(S& s) {
  std::minstd_rand random(3);
  for (int i = 0; i < 100'000; ++i) {
    volatile Slot& slot = (random() % 2 != 0 ? s.s2m : s.m2s).slot(static_cast<std::uint16_t>(random()));
    switch (random() % 4) {
      case 0:
        slot.flags = static_cast<std::uint16_t>(random() % 2);
        break;
      case 1:
        slot.region = static_cast<std::uint16_t>(random() % 3);
        break;
      case 2:
        slot.length = static_cast<std::uint32_t>(random() % 4096);
        break;
      default:
        slot.offset = static_cast<std::uint32_t>(random());
    }
    if (i % 16 == 0) {
      s.s2m.tail() = s.s2m.head();
      if (all_posted(s)) s.m2s.tail() = plus(s.m2s.tail(), 32);
    }
  }
}

void try_to_shrink(S& s) {
  for (const S::Mapped& region : s.regions)
    if (::ftruncate(region.fd, 0) == 0 || errno != EPERM) give_up("the region could be shrunk");
  s.stream(100);
}

void punch_hole(const S::Mapped& region, std::size_t from) {
  const auto size = static_cast<off_t>(region.size - from);
  if (::fallocate(region.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from), size) != 0)
    give_up("fallocate");
}

void punch_holes(S& s) {
  s.stream(50);
  const std::size_t rings = 4096;  // buffers begin at the page behind them
  punch_hole(s.regions.back(), rings);
  s.stream(50);
}

void punch_holes_into_the_rings(S& s) {
  s.stream(50);
  punch_hole(s.regions.back(), 0);
}

void fill_events(S& s) {
  for (const int event : s.events) fill_event(event);
  s.stream(100);
}

struct Corruption {
  const char* name;
  Expected expected;
  std::function<void(S&)> run;
};

const Corruption corruptions[] = {
    {"LengthZero", dropped_rx, packet([](auto& s) { s.length = 0; })},
    {"LengthOneOverTheBuffer", dropped_rx, packet([](auto& s) { s.length = buffer_size + 1; })},
    {"LargestLength", dropped_rx, packet([](auto& s) { s.length = ~0u; })},
    {"ChainWithABadEnd", dropped_rx, packet([](auto& s) { s.length = ~0u; }, 5)},
    {"ChainWithAnEmptyEnd", dropped_rx, packet([](auto& s) { s.length = 0; }, 3)},
    {"ChainLongerThanAnyArray", dropped_rx, packet([](auto&) {}, 60)},
    {"PacketLongerThanIsTaken", dropped_rx, long_packet},
    {"RegionRewritten", harmless, packet([](auto& s) { s.region = 65535; })},
    {"OffsetRewritten", harmless, packet([](auto& s) { s.offset = ~0u; })},
    {"EveryDescriptorMoved", harmless, move_every_descriptor},
    {"TransmitDescriptorsMoved", harmless, move_transmit_descriptors},
    {"UnknownFlagsAndMetadata", harmless, packet([](auto& s) {
       s.flags = 0xfffe;
       s.metadata = ~0u;
     })},
    {"ChainWithoutEnd", lost(Errc::broken_ring), chain_without_end},
    {"ChainAcrossThePublishedIndex", harmless,
     [](S& s) {
       until("the client posts all again", [&] { return all_posted(s); });
       const std::uint16_t tail = s.m2s.tail();
       s.m2s.slot(tail).flags = 1;
       s.m2s.slot(tail).length = 64;
       fence();
       s.m2s.tail() = plus(tail, 1);
       for (int i = 0; i < 1000; ++i) s.m2s.slot(tail).length = static_cast<std::uint32_t>(i);
       s.send_packet();
       until("the client posts all again", [&] { return all_posted(s); });
     }},
    {"TailBeyondWhatWasPosted", lost(Errc::broken_ring), [](S& s) { s.m2s.tail() = plus(s.m2s.head(), 1); }},
    {"TailFarTooFar", lost(Errc::broken_ring), [](S& s) { s.m2s.tail() = plus(s.m2s.head(), 30000); }},
    {"TailGoesBack", lost(Errc::broken_ring),
     [](S& s) {
       s.stream(1);
       s.m2s.tail() = plus(s.m2s.tail(), -1);
     }},
    {"TransmitTailBeyondWhatWasSent", lost(Errc::broken_ring),
     [](S& s) {
       fill_transmit_ring(s);
       s.s2m.tail() = plus(s.s2m.head(), 1);
     }},
    {"TransmitTailGoesBack", lost(Errc::broken_ring),
     [](S& s) {
       fill_transmit_ring(s);
       s.s2m.tail() = plus(s.s2m.tail(), -1);
     }},
    {"HeadsOverwritten", harmless,
     [](S& s) {
       s.s2m.head() = 4711;
       s.m2s.head() = 1147;
     }},
    {"FlagsFlip", harmless, flipping<std::uint16_t>(&RawRing::flags, true)},
    {"FlagsOfTheOtherRingFlip", harmless, flipping<std::uint16_t>(&RawRing::flags, false)},
    {"CookieFlips", harmless, flipping<std::uint32_t>(&RawRing::cookie, true)},
    {"Scribbling", contained, scribble},
    {"ScribblingOverDescriptors", contained, scribble_descriptors},
    {"ShrinkingSealedMemory", harmless, try_to_shrink},
    {"HolesPunched", harmless, punch_holes},
    {"HolesPunchedIntoTheRings", contained, punch_holes_into_the_rings},
    {"InterruptsFilled", harmless, fill_events},
};

void shrink_buffers(S& s) {
  if (::ftruncate(s.regions.back().fd, 0) != 0) give_up("ftruncate");
  if (s.m2s.head() != s.m2s.tail()) s.m2s.tail() = plus(s.m2s.tail(), 1);
}

std::vector<AttackOnClient> make_attacks() {
  std::vector<AttackOnClient> attacks;
  const auto add = [&](const char* name, Expected expected, const std::function<void(S&)>& run, Setup setup) {
    attacks.push_back({std::string(name) + "AtOnce", expected, [run](S& s) { s.connect(), run(s); }, setup});
    attacks.push_back({std::string(name) + "DuringTraffic", expected,
                       [run](S& s) {
                         s.connect();
                         s.stream(1000);
                         run(s);
                       },
                       setup});
  };
  for (const Corruption& corruption : corruptions)
    add(corruption.name, corruption.expected, corruption.run, Setup::usual);
  add("ExternalMemoryVanishes", lost(Errc::truncated_memory), shrink_buffers, Setup::unsealed_memory);
  return attacks;
}

}  // namespace

std::span<const AttackOnClient> memory_attacks_on_client() {
  static const std::vector<AttackOnClient> attacks = make_attacks();
  return attacks;
}

}  // namespace memif::hostile
