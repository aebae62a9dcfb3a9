// What each side of the handshake refuses for what a message says, and how it says so.
// docs/protocol.md, "Checks of a good endpoint".
#include <memif/detail/wire.hpp>

#include "handshake_fixture.hpp"
#include "protocol/handshake.hpp"

namespace memif::handshake {
namespace {

using namespace test;
using namespace message;

void expect_init(const ServerPolicy& its_policy, const Init& init, Errc code, std::string_view part = {}) {
  Server server = server_at(0, its_policy);
  expect_refused(server.on_message(init, 0, t0), code, part);
  EXPECT_FALSE(server.admitted());
  EXPECT_TRUE(server.done());
}

TEST(ServerRefuses, EveryVersionButItsOwn) {
  for (int version : {0, 1, 0x0100, 0x01ff, 0x0201, 0x0300, 0xffff}) {
    Init other = init();
    other.version = static_cast<std::uint16_t>(version);
    expect_init(policy(), other, Errc::unsupported_version, "2.0");
  }
}

TEST(ServerRefuses, AnUnknownId) {
  Init other = init();
  other.id = 0xffffffff;
  expect_init(policy(), other, Errc::unknown_id, "4294967295");
}

TEST(ServerRefuses, AnInterfaceThatIsAClient) {
  ServerPolicy client = policy();
  client.is_server = false;
  expect_init(client, init(), Errc::role_mismatch);
}

TEST(ServerRefuses, ASecondPeer) {
  ServerPolicy busy = policy();
  busy.connected = true;
  expect_init(busy, init(), Errc::already_connected);
}

TEST(ServerRefuses, AnotherMode) {
  Init other = init();
  other.mode = Mode::ip;
  expect_init(policy(), other, Errc::mode_mismatch, "ip");
}

TEST(ServerRefuses, AMissingSecret) {
  ServerPolicy locked = policy();
  locked.secret = "s";
  expect_init(locked, init(), Errc::secret_required);
}

TEST(ServerRefuses, ASecretThatDiffersAnywhere) {
  ServerPolicy locked = policy();
  locked.secret = std::string(24, 's');
  for (std::size_t i = 0; i < secret_size; ++i) {
    Init wrong = init();
    wrong.secret = to_secret(locked.secret);
    wrong.secret[i] = i % 2 == 0 ? '\0' : 'S';
    expect_init(locked, wrong, Errc::wrong_secret);
  }
  locked.secret = "short";
  Init longer = init();
  longer.secret = to_secret("shorter");
  expect_init(locked, longer, Errc::wrong_secret);
  longer.secret = to_secret("shor");
  expect_init(locked, longer, Errc::wrong_secret);
}

// The comparison looks at all 24 bytes whatever they are; so the answers tell nothing either.
TEST(ServerRefuses, EveryWrongSecretInTheSameWords) {
  for (std::size_t length = 1; length <= secret_size; ++length) {
    ServerPolicy locked = policy();
    locked.secret = std::string(length, '\xf3');
    const auto answer = [&](const std::string& guess) {
      Init attempt = init();
      attempt.secret = to_secret(guess);
      return server_at(0, locked).on_message(attempt, 0, t0);
    };
    EXPECT_EQ(outline(answer(locked.secret)), "Admit Send(ACK)") << length;
    std::vector<std::string> guesses(2, locked.secret);
    guesses[0].front() ^= 1;
    guesses[1].back() ^= '\x80';
    if (length > 1) guesses.push_back(locked.secret.substr(1));
    if (length < secret_size) guesses.push_back(locked.secret + locked.secret.back());
    for (const std::string& guess : guesses) {
      const auto actions = answer(guess);
      expect_refused(actions, Errc::wrong_secret);
      EXPECT_EQ(find<Down>(actions)->reason.text, "wrong secret") << length;
    }
  }
}

TEST(ServerAccepts, ASecretThatItDidNotAskFor) {
  Server server = server_at(0);
  Init with = init();
  with.secret = to_secret("unasked");
  EXPECT_EQ(outline(server.on_message(with, 0, t0)), "Admit Send(ACK)");
  EXPECT_TRUE(server.admitted());
}

TEST(ServerRefuses, APeerThatIsNotAllowedBeforeAllElse) {
  ServerPolicy closed = policy();
  closed.refusal = Reason{Errc::peer_not_allowed, false, "user 1000 is not allowed"};
  closed.is_server = false;
  closed.connected = true;
  closed.secret = "s";
  expect_init(closed, init(), Errc::peer_not_allowed, "user 1000");
}

TEST(ServerRefuses, WithoutTellingTheInterfaceToThoseWhoLackItsSecret) {
  ServerPolicy locked = policy();
  locked.secret = "hidden";
  locked.connected = true;
  Init guess = init();
  guess.mode = Mode::ip;
  guess.secret = to_secret("guess");
  Server server = server_at(0, locked);
  const Server::Actions actions = server.on_message(guess, 0, t0);
  EXPECT_EQ(sent<Disconnect>(actions)->text, "wrong secret");
  for (const Message& message : one_of_each()) {
    Server early = server_at(0, locked);
    const auto refused = early.on_message(message, fds_of(message), t0);
    if (const Disconnect* told = sent<Disconnect>(refused)) {
      EXPECT_EQ(told->text.find("hidden"), std::string::npos);
      EXPECT_EQ(told->text.find("server interface"), std::string::npos);
    }
  }
}

// Regions.

TEST(ServerRefuses, RegionsOutOfOrderRepeatedOrEmpty) {
  expect_refused(server_at(1).on_message(AddRegion{1, 4096}, 1, t0), Errc::bad_region, "region 1");
  expect_refused(server_at(2).on_message(AddRegion{0, 4096}, 1, t0), Errc::bad_region, "region 0");
  expect_refused(server_at(2).on_message(AddRegion{1, 0}, 1, t0), Errc::bad_region, "size 0");
}

TEST(ServerRefuses, MoreRegionsThanItOffered) {
  expect_refused(server_at(1).on_message(AddRegion{256, 4096}, 1, t0), Errc::too_many_regions, "255");
  expect_refused(server_at(1).on_message(AddRegion{0xffff, 4096}, 1, t0), Errc::too_many_regions, "65535");
  Server server = server_at(1);
  for (std::uint16_t i = 0; i <= 255; ++i) {
    const Server::Actions actions = server.on_message(AddRegion{i, 4096}, 1, t0);
    ASSERT_EQ(outline(actions), "MapRegion Send(ACK)");
    EXPECT_EQ(find<MapRegion>(actions)->index, i);
  }
  expect_refused(server.on_message(AddRegion{256, 4096}, 1, t0), Errc::too_many_regions);
}

TEST(ServerAccepts, RegionSizesUpToTheLargestNumber) {
  Server server = server_at(1);
  EXPECT_EQ(find<MapRegion>(server.on_message(AddRegion{0, UINT64_MAX}, 1, t0))->size, UINT64_MAX);
  EXPECT_EQ(outline(server.on_message(s2m_ring(0, 0xfffffff0), 1, t0)), "AttachRing Send(ACK)");
}

// All of them together, but of each no more than a descriptor can reach.
TEST(ServerRefuses, MoreMemoryThanTheInterfaceTakes) {
  ServerPolicy limited = policy();
  limited.max_memory = 3 * region_size;
  Server server = server_at(2, limited);
  EXPECT_EQ(outline(server.on_message(AddRegion{1, 2 * region_size}, 1, t0)), "MapRegion Send(ACK)");
  expect_refused(server.on_message(AddRegion{2, 1}, 1, t0), Errc::too_much_memory,
                 "region 2 makes 3145729 bytes, the limit is 3145728 (max_peer_memory)");
  expect_refused(server_at(1, limited).on_message(AddRegion{0, UINT64_MAX}, 1, t0), Errc::too_much_memory,
                 "8589934592 bytes");
  limited.max_memory = 2 * wire::region_reach;
  Server wide = server_at(1, limited);
  for (const std::uint16_t i : {std::uint16_t{0}, std::uint16_t{1}})
    EXPECT_EQ(outline(wide.on_message(AddRegion{i, UINT64_MAX}, 1, t0)), "MapRegion Send(ACK)");
  expect_refused(wide.on_message(AddRegion{2, UINT64_MAX}, 1, t0), Errc::too_much_memory, "25769803776 bytes");
}

// Rings. state 2 has region 0 of region_size bytes, state 3 S2M ring 0 at offset 0 with 16 descriptors.
constexpr auto ring_bytes = static_cast<std::uint32_t>(wire::ring_bytes(4));

void expect_bad_ring(int state, const AddRing& ring, std::string_view part, Errc code = Errc::bad_ring) {
  Server server = server_at(state);
  expect_refused(server.on_message(ring, 1, t0), code, part);
}

TEST(ServerRefuses, ARingInARegionThatDoesNotExist) {
  expect_bad_ring(1, s2m_ring(0, 0), "region 0 does not exist");
  AddRing ring = s2m_ring(0, 0);
  for (int region : {1, 255, 256, 65535}) {
    ring.region = static_cast<std::uint16_t>(region);
    expect_bad_ring(2, ring, "does not exist");
  }
}

TEST(ServerRefuses, RingsOutOfOrderOrRepeated) {
  expect_bad_ring(2, s2m_ring(1, 0), "out of order");
  expect_bad_ring(2, m2s_ring(2, 0), "out of order");
  expect_bad_ring(3, s2m_ring(0, 4096), "out of order");
}

TEST(ServerRefuses, MoreRingsThanTheInterfaceHas) {
  expect_bad_ring(2, s2m_ring(4, 0), ": 4 from the client are accepted", Errc::too_many_rings);
  expect_bad_ring(2, m2s_ring(3, 0), ": 3 to the client are accepted", Errc::too_many_rings);
  expect_bad_ring(2, m2s_ring(0xffff, 0), ": 3 to the client are accepted", Errc::too_many_rings);
}

TEST(ServerRefuses, MoreRingsThanItOfferedWhateverTheInterfaceHas) {
  ServerIdentity offers = identity();
  offers.max_s2m_ring = 0;
  Server server = server_at(3, policy(), offers);
  expect_refused(server.on_message(s2m_ring(1, 4096), 1, t0), Errc::too_many_rings, ": 1 from the client is accepted");
}

TEST(ServerRefuses, RingSizesOutOfRange) {
  AddRing ring = s2m_ring(0, 0);
  for (int log2 = 0; log2 < 256; ++log2) {
    ring.log2_ring_size = static_cast<std::uint8_t>(log2);
    if (log2 < 1 || log2 > 14) {
      expect_bad_ring(2, ring, "must be 1 to 14");
    } else {
      Server server = server_at(2);
      EXPECT_EQ(outline(server.on_message(ring, 1, t0)), "AttachRing Send(ACK)") << log2;
    }
  }
  ServerIdentity careless = identity();
  careless.max_log2_ring_size = 255;
  ring.log2_ring_size = 15;
  expect_refused(server_at(2, policy(), careless).on_message(ring, 1, t0), Errc::bad_ring, "must be 1 to 14");
}

TEST(ServerRefuses, MisalignedRings) {
  for (std::uint32_t offset : {1U, 4U, 8U, 15U, 17U, 0xffffffffU}) expect_bad_ring(2, s2m_ring(0, offset), "multiple");
}

TEST(ServerRefuses, RingsThatLeaveTheirRegion) {
  const std::uint32_t last = region_size - ring_bytes;
  Server server = server_at(2);
  EXPECT_EQ(outline(server.on_message(s2m_ring(0, last), 1, t0)), "AttachRing Send(ACK)");
  expect_bad_ring(2, s2m_ring(0, last + 16), "ends at");
  expect_bad_ring(2, s2m_ring(0, region_size), "ends at");
  expect_bad_ring(2, s2m_ring(0, 0xfffffff0), "ends at");
}

TEST(ServerRefuses, RingsThatOverlap) {
  for (std::uint32_t offset : {0U, 16U, ring_bytes - 16}) expect_bad_ring(3, m2s_ring(0, offset), "overlaps");
  Server server = server_at(3);
  EXPECT_EQ(outline(server.on_message(m2s_ring(0, ring_bytes), 1, t0)), "AttachRing Send(ACK)");
  server.on_message(AddRegion{1, region_size}, 1, t0);
  AddRing elsewhere = m2s_ring(1, 0);
  elsewhere.region = 1;
  EXPECT_EQ(outline(server.on_message(elsewhere, 1, t0)), "AttachRing Send(ACK)");
  AddRing around = m2s_ring(2, 0);
  around.log2_ring_size = 14;
  expect_refused(server.on_message(around, 1, t0), Errc::bad_ring, "overlaps");
}

TEST(ServerRefuses, PrivateHeaders) {
  AddRing ring = s2m_ring(0, 0);
  ring.private_hdr_size = 1;
  expect_bad_ring(2, ring, "private header");
}

TEST(ServerRefuses, ConnectWithoutRegionsOrRings) {
  expect_refused(server_at(1).on_message(Connect{}, 0, t0), Errc::unexpected_message, "region");
  expect_refused(server_at(2).on_message(Connect{}, 0, t0), Errc::unexpected_message, "ring");
}

// Descriptors.

TEST(ServerRefuses, MessagesThatLackTheirDescriptor) {
  expect_refused(server_at(1).on_message(AddRegion{0, 4096}, 0, t0), Errc::missing_fd, "ADD_REGION");
  expect_refused(server_at(2).on_message(s2m_ring(0, 0), 0, t0), Errc::missing_fd, "ADD_RING");
}

TEST(ServerRefuses, DescriptorsThatDoNotBelong) {
  for (std::size_t count : {2U, 253U}) {
    expect_refused(server_at(1).on_message(AddRegion{0, 4096}, count, t0), Errc::unexpected_fd, "ADD_REGION");
    expect_refused(server_at(2).on_message(s2m_ring(0, 0), count, t0), Errc::unexpected_fd, "ADD_RING");
  }
  expect_refused(server_at(0).on_message(init(), 1, t0), Errc::unexpected_fd, "INIT");
  expect_refused(server_at(3).on_message(Connect{}, 1, t0), Errc::unexpected_fd, "CONNECT");
}

TEST(ClientRefuses, AnyDescriptor) {
  expect_down(client_at(0).on_message(hello(), 1, t0), Errc::unexpected_fd, false, "HELLO");
  expect_down(client_at(2).on_message(Ack{}, 1, t0), Errc::unexpected_fd, false, "ACK");
  for (int state = 3; state < 5; ++state)
    expect_refused(client_at(state).on_message(Ack{}, 1, t0), Errc::unexpected_fd, "ACK");
  expect_refused(client_at(5).on_message(Connected{}, 2, t0), Errc::unexpected_fd, "CONNECTED");
}

TEST(ClientRefuses, ServersThatDoNotSpeakItsVersion) {
  const auto answer = [](std::uint16_t least, std::uint16_t most) {
    Hello other = hello();
    other.min_version = least;
    other.max_version = most;
    return client_at(0).on_message(other, 0, t0);
  };
  expect_down(answer(0x0100, 0x01ff), Errc::unsupported_version, false, "1.0 to 1.255");
  expect_down(answer(0x0201, 0x0300), Errc::unsupported_version, false, "2.1 to 3.0");
  expect_down(answer(0x0300, 0x0100), Errc::unsupported_version, false);
  EXPECT_EQ(outline(answer(0x0200, 0x0200)), "Allocate");
  EXPECT_EQ(outline(answer(0x0000, 0xffff)), "Allocate");
}

TEST(ClientRefuses, ARingSizeThatLeavesNoRing) {
  Hello other = hello();
  other.max_log2_ring_size = 0;
  expect_down(client_at(0).on_message(other, 0, t0), Errc::malformed_message, false, "ring size");
}

TEST(ClientAccepts, OffersUpToTheLargestNumbers) {
  Hello lavish = hello();
  lavish.max_region = lavish.max_m2s_ring = lavish.max_s2m_ring = 0xffff;
  lavish.max_log2_ring_size = 255;
  const Client::Actions actions = client_at(0).on_message(lavish, 0, t0);
  EXPECT_EQ(find<Allocate>(actions)->s2m_rings, 2);
  EXPECT_EQ(find<Allocate>(actions)->m2s_rings, 1);
  EXPECT_EQ(find<Allocate>(actions)->log2_ring_size, 10);
}

TEST(ClientRefuses, ToAnnounceMoreThanTheServerOffered) {
  Hello narrow = hello();
  narrow.max_region = 0;
  narrow.max_s2m_ring = 0;
  Client regions = client_at(0);
  regions.on_message(narrow, 0, t0);
  expect_down(regions.allocated({4096, 4096}, {}, t0), Errc::too_many_regions, false, "2 regions");
  Client rings = client_at(0);
  rings.on_message(narrow, 0, t0);
  expect_down(rings.allocated({4096}, {{true, 1, 0, 0, 4}}, t0), Errc::too_many_rings, false, "S2M ring 1");
}

}  // namespace
}  // namespace memif::handshake
