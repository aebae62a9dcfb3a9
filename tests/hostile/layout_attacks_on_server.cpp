// ADD_REGION, ADD_RING and CONNECT with every value that cannot be.
#include "attacks.hpp"

namespace memif::hostile {
namespace {

using namespace message;
using C = RawClient;

void region(C& c, std::uint16_t index, std::uint64_t size) {
  c.admit(), c.make_memory();
  c.send(AddRegion{index, size}, {c.memory});
}

void ring(C& c, void (*change)(AddRing&)) {
  c.region();
  AddRing ring = c.ring(true);
  change(ring);
  c.send(ring, {c.event()});
}

void second_ring(C& c, bool s2m, std::uint32_t offset) {
  c.region();
  c.send(c.ring(true), {c.event()});
  c.expect<Ack>();
  c.send(AddRing{s2m, 0, 0, offset, ring_log2, 0}, {c.event()});
}

constexpr std::uint32_t bytes = 128 + 16 * ring_size;

const AttackOnServer attacks[] = {
    {"RegionsOutOfOrder", refused(Errc::bad_region), [](C& c) { region(c, 1, c.size); }},
    {"LargestRegionIndex", refused(Errc::too_many_regions), [](C& c) { region(c, 65535, c.size); }},
    {"RegionTwice", refused(Errc::bad_region),
     [](C& c) {
       c.region(), c.send(AddRegion{0, c.size}, {c.memory});
     }},
    {"OneRegionTooMany", refused(Errc::too_many_regions),
     [](C& c) {
       c.region();
       for (std::uint16_t i = 1; i < 256; ++i) {
         c.send(AddRegion{i, 4096}, {c.memory});
         c.expect<Ack>();
       }
       c.send(AddRegion{256, 4096}, {c.memory});
     }},
    {"RegionOfSizeZero", refused(Errc::bad_region), [](C& c) { region(c, 0, 0); }},
    {"RegionOneByteLargerThanItsFile", refused(Errc::bad_region), [](C& c) { region(c, 0, c.size + 1); }},
    {"RegionLargerThanItsFile", refused(Errc::bad_region), [](C& c) { region(c, 0, 1 << 30); }},
    {"RegionAlmostAsLargeAsAllMemory", refused(Errc::bad_region), [](C& c) { region(c, 0, ~std::uint64_t{0}); }},
    {"RegionThatWrapsToZeroPages", refused(Errc::bad_region), [](C& c) { region(c, 0, ~std::uint64_t{0} - 4094); }},
    {"RegionOfHalfOfAllMemory", refused(Errc::bad_region), [](C& c) { region(c, 0, std::uint64_t{1} << 63); }},
    {"RegionAboveTheLimit", refused(Errc::bad_region), [](C& c) { region(c, 0, (std::uint64_t{1} << 36) + 1); }},
    {"RegionWithoutADescriptor", refused(Errc::missing_fd),
     [](C& c) {
       c.admit(), c.send(AddRegion{0, 1 << 20});
     }},
    {"RegionWithTwoDescriptors", refused(Errc::unexpected_fd),
     [](C& c) {
       c.admit(), c.make_memory();
       c.send(AddRegion{0, c.size}, {c.memory, c.memory});
     }},
    {"RegionWithAllDescriptors", refused(Errc::unexpected_fd),
     [](C& c) {
       c.admit(), c.make_memory();
       c.send(AddRegion{0, c.size}, std::vector<int>(253, c.memory));
     }},

    {"RingsOutOfOrder", refused(Errc::too_many_rings), [](C& c) { ring(c, [](AddRing& r) { r.index = 1; }); }},
    {"LargestRingIndex", refused(Errc::too_many_rings), [](C& c) { ring(c, [](AddRing& r) { r.index = 65535; }); }},
    {"LargestRingIndexTheOtherWay", refused(Errc::too_many_rings),
     [](C& c) {
       ring(c, [](AddRing& r) {
         r.s2m = false;
         r.index = 65535;
       });
     }},
    {"SameRingTwice", refused(Errc::bad_ring), [](C& c) { second_ring(c, true, 8192); }},
    {"RingInNoRegion", refused(Errc::bad_ring), [](C& c) { ring(c, [](AddRing& r) { r.region = 1; }); }},
    {"RingInTheLargestRegion", refused(Errc::bad_ring), [](C& c) { ring(c, [](AddRing& r) { r.region = 65535; }); }},
    {"RingBehindItsRegion", refused(Errc::bad_ring), [](C& c) { ring(c, [](AddRing& r) { r.offset = 1 << 20; }); }},
    {"RingThatEndsOneSlotBehindItsRegion", refused(Errc::bad_ring),
     [](C& c) { ring(c, [](AddRing& r) { r.offset = (1 << 20) - bytes + 16; }); }},
    {"RingAtTheLargestOffset", refused(Errc::bad_ring),
     [](C& c) { ring(c, [](AddRing& r) { r.offset = 0xfffffff0; }); }},
    {"RingLargerThanItsRegion", refused(Errc::bad_ring),
     [](C& c) {
       c.size = 65536;
       ring(c, [](AddRing& r) { r.log2_ring_size = 14; });
     }},
    {"MisalignedRing", refused(Errc::bad_ring), [](C& c) { ring(c, [](AddRing& r) { r.offset = 8; }); }},
    {"RingAtAnOddOffset", refused(Errc::bad_ring), [](C& c) { ring(c, [](AddRing& r) { r.offset = 1; }); }},
    {"RingOfOneSlot", refused(Errc::bad_ring), [](C& c) { ring(c, [](AddRing& r) { r.log2_ring_size = 0; }); }},
    {"RingOfLog2Size15", refused(Errc::bad_ring), [](C& c) { ring(c, [](AddRing& r) { r.log2_ring_size = 15; }); }},
    {"RingOfLog2Size200", refused(Errc::bad_ring), [](C& c) { ring(c, [](AddRing& r) { r.log2_ring_size = 200; }); }},
    {"RingWithPrivateHeaders", refused(Errc::bad_ring),
     [](C& c) { ring(c, [](AddRing& r) { r.private_hdr_size = 64; }); }},
    {"RingsAtTheSamePlace", refused(Errc::bad_ring), [](C& c) { second_ring(c, false, 0); }},
    {"RingsThatOverlapByOneSlot", refused(Errc::bad_ring), [](C& c) { second_ring(c, false, bytes - 16); }},
    {"RingWithoutADescriptor", refused(Errc::missing_fd), [](C& c) { c.region(), c.send(c.ring(true)); }},
    {"RingWithTwoDescriptors", refused(Errc::unexpected_fd),
     [](C& c) {
       c.region(), c.send(c.ring(true), {c.event(), c.event()});
     }},
    {"RingWithAllDescriptors", refused(Errc::unexpected_fd),
     [](C& c) { c.region(), c.send(c.ring(true), std::vector<int>(253, c.event())); }},
    {"SixtyFiveThousandRings", refused(Errc::too_many_rings),
     [](C& c) {
       c.region();
       for (unsigned i = 0; i < 65536; ++i)
         c.send(AddRing{true, static_cast<std::uint16_t>(i), 0, 0, 1, 0}, {c.event()});
     }},

    {"ConnectWithoutRegions", refused(Errc::unexpected_message), [](C& c) { c.admit(), c.send(Connect{"x"}); }},
    {"ConnectWithoutRings", refused(Errc::unexpected_message), [](C& c) { c.region(), c.send(Connect{"x"}); }},
    {"RingWithoutACookie", refused(Errc::wrong_cookie),
     [](C& c) {
       c.rings();
       c.s2m.cookie() = 0;
       c.send(Connect{"x"});
     }},
    {"RingWithAnotherCookie", refused(Errc::wrong_cookie),
     [](C& c) {
       c.rings();
       c.m2s.cookie() = 0x3E31F21;
       c.send(Connect{"x"});
     }},
    {"IndicesSetBeforeConnecting", harmless,
     [](C& c) {
       c.rings();
       c.s2m.head() = 40000;
       c.s2m.tail() = 3;
       c.m2s.head() = 1;
       c.m2s.tail() = 60000;
       c.send(Connect{"x"});
       c.expect<Connected>();
       c.stream(10);
     }},
    {"EverythingAtOnceWithoutReading", harmless,
     [](C& c) {
       c.open(), c.make_memory();
       c.send(c.init());
       c.send(AddRegion{0, c.size}, {c.memory});
       c.send(c.ring(true), {c.event()});
       c.send(c.ring(false), {c.event()});
       c.send(Connect{"x"});
       c.expect<Hello>();
       for (int acks = 0; acks < 4; ++acks) c.expect<Ack>();
       c.expect<Connected>();
       c.stream(10);
     }},
};

}  // namespace

std::span<const AttackOnServer> layout_attacks_on_server() { return attacks; }

}  // namespace memif::hostile
