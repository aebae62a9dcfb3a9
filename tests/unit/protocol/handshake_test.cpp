// The handshake as a whole: both machines joined, every message in every state, and every way it can end.
// docs/protocol.md, "Handshake". Refusals of single fields are in handshake_refusal_test.cpp.
#include "protocol/handshake.hpp"

#include "handshake_fixture.hpp"

namespace memif::handshake {
namespace {

using namespace test;
using namespace message;

// Two hosts without files or memory: executes the actions of a client and a server and carries their datagrams.
class Joined {
 public:
  explicit Joined(ClientOptions its_options = options(), ServerPolicy its_policy = policy(),
                  ServerIdentity its_identity = identity())
      : client(std::move(its_options)), server(std::move(its_identity), directory(std::move(its_policy))) {}

  // Delivers until nobody has anything left to say.
  void run() {
    execute_client(client.start(t0));
    execute_server(server.start(t0));
    while (!to_client_.empty() || !to_server_.empty()) {
      if (!to_client_.empty()) {
        const Parcel parcel = take(to_client_);
        execute_client(client.on_message(*parse(parcel.bytes), parcel.fds, t0));
      } else {
        const Parcel parcel = take(to_server_);
        execute_server(server.on_message(*parse(parcel.bytes), parcel.fds, t0));
      }
    }
  }

  Client client;
  Server server;
  std::vector<std::uint64_t> region_sizes{region_size, 4 * region_size};
  std::vector<std::string> log;
  std::vector<RingSpec> attached;
  std::vector<MapRegion> mapped;
  std::vector<FdRef> passed;
  std::optional<Allocate> allocate;
  std::optional<Admit> admit;
  std::optional<Up> client_link, server_link;
  bool server_established = false;
  std::optional<Reason> client_down, server_down;
  bool client_deadline = false, server_deadline = false;

 private:
  struct Parcel {
    Bytes bytes;
    std::size_t fds;
  };

  static Parcel take(std::deque<Parcel>& queue) {
    const Parcel parcel = queue.front();
    queue.pop_front();
    return parcel;
  }

  void post(std::deque<Parcel>& queue, const char* who, const Send& send) {
    log.push_back(std::string(who) + message::name(send.message));
    EXPECT_EQ(send.fd.kind != FdKind::none, fds_of(send.message) != 0);
    if (send.fd.kind != FdKind::none) passed.push_back(send.fd);
    queue.push_back({emit(send.message), send.fd.kind == FdKind::none ? 0U : 1U});
  }

  std::vector<RingSpec> rings() const {
    std::vector<RingSpec> all;
    std::uint32_t offset = 0;
    const auto add = [&](bool s2m, std::uint16_t count) {
      for (std::uint16_t i = 0; i < count; ++i) {
        all.push_back({s2m, i, 0, offset, allocate->log2_ring_size});
        offset += static_cast<std::uint32_t>(wire::ring_bytes(allocate->log2_ring_size));
      }
    };
    add(true, allocate->s2m_rings);
    add(false, allocate->m2s_rings);
    return all;
  }

  void execute_client(const Client::Actions& actions) {
    for (const Client::Action& action : actions) {
      if (const auto* send = std::get_if<Send>(&action)) post(to_server_, "client: ", *send);
      if (const auto* deadline = std::get_if<Deadline>(&action)) client_deadline = deadline->when.has_value();
      if (const auto* up = std::get_if<Up>(&action)) client_link = *up;
      if (const auto* down = std::get_if<Down>(&action)) client_down = down->reason;
      if (const auto* wanted = std::get_if<Allocate>(&action)) {
        allocate = *wanted;
        execute_client(client.allocated(region_sizes, rings(), t0));
      }
    }
  }

  void execute_server(const Server::Actions& actions) {
    for (const Server::Action& action : actions) {
      if (const auto* send = std::get_if<Send>(&action)) post(to_client_, "server: ", *send);
      if (const auto* deadline = std::get_if<Deadline>(&action)) server_deadline = deadline->when.has_value();
      if (const auto* admitted = std::get_if<Admit>(&action)) admit = *admitted;
      if (const auto* region = std::get_if<MapRegion>(&action)) mapped.push_back(*region);
      if (const auto* ring = std::get_if<AttachRing>(&action)) attached.push_back(ring->ring);
      if (const auto* down = std::get_if<Down>(&action)) server_down = down->reason;
      if (std::holds_alternative<Establish>(action)) server_established = true;
      if (const auto* up = std::get_if<Up>(&action)) server_link = *up;
    }
  }

  std::deque<Parcel> to_client_, to_server_;
};

TEST(Handshake, ClientAndServerWalkThroughAllOfItAndAreUp) {
  Joined pair;
  pair.run();
  EXPECT_TRUE(pair.client.up());
  EXPECT_TRUE(pair.server.up());
  const std::vector<std::string> expected = {
      "server: HELLO",      "client: INIT",     "server: ACK",      "client: ADD_REGION", "server: ACK",
      "client: ADD_REGION", "server: ACK",      "client: ADD_RING", "server: ACK",        "client: ADD_RING",
      "server: ACK",        "client: ADD_RING", "server: ACK",      "client: CONNECT",    "server: CONNECTED"};
  EXPECT_EQ(pair.log, expected);
}

TEST(Handshake, BothSidesLearnWhoTheOtherIs) {
  Joined pair;
  pair.run();
  EXPECT_EQ(pair.allocate->peer_app_name, "server app");
  EXPECT_EQ(pair.admit->app_name, "client app");
  EXPECT_EQ(pair.admit->id, 7U);
  EXPECT_EQ(pair.admit->version, 0x0200);
  EXPECT_EQ(pair.client_link->peer_interface_name, "server interface");
  EXPECT_EQ(pair.server_link->peer_interface_name, "client interface");
}

TEST(Handshake, RegionsAndRingsArriveAsTheyWereAllocated) {
  Joined pair;
  pair.run();
  ASSERT_EQ(pair.mapped.size(), 2U);
  EXPECT_EQ(pair.mapped[1].index, 1);
  EXPECT_EQ(pair.mapped[1].size, 4 * region_size);
  constexpr auto ring = static_cast<std::uint32_t>(wire::ring_bytes(10));
  const std::vector<RingSpec> rings = {{true, 0, 0, 0, 10}, {true, 1, 0, ring, 10}, {false, 0, 0, 2 * ring, 10}};
  EXPECT_EQ(pair.attached, rings);
  const std::vector<FdRef> fds = {
      {FdKind::region, 0}, {FdKind::region, 1}, {FdKind::s2m_ring, 0}, {FdKind::s2m_ring, 1}, {FdKind::m2s_ring, 0}};
  EXPECT_EQ(pair.passed, fds);
}

TEST(Handshake, NoDeadlineIsLeftWhenTheLinkIsUp) {
  Joined pair;
  pair.run();
  EXPECT_FALSE(pair.client_deadline);
  EXPECT_FALSE(pair.server_deadline);
  EXPECT_TRUE(pair.client.on_deadline(t0 + 1h).empty());
  EXPECT_TRUE(pair.server.on_deadline(t0 + 1h).empty());
}

TEST(Handshake, TheClientTakesTheLesserOfWantedAndOffered) {
  ClientOptions wants = options();
  wants.rings = {256, 2};
  wants.log2_ring_size = 14;
  ServerIdentity offers = identity();
  offers.max_s2m_ring = 2;
  offers.max_log2_ring_size = 3;
  Joined pair(wants, policy(), offers);
  pair.run();
  EXPECT_EQ(pair.allocate->s2m_rings, 3);
  EXPECT_EQ(pair.allocate->m2s_rings, 2);
  EXPECT_EQ(pair.allocate->log2_ring_size, 3);
  EXPECT_TRUE(pair.server.up());
}

TEST(Handshake, EqualSecretsOpenTheDoor) {
  ClientOptions with = options();
  ServerPolicy locked = policy();
  for (const std::string& secret : {std::string("x"), std::string("correct horse"), std::string(24, 's')}) {
    with.secret = locked.secret = secret;
    Joined pair(with, locked);
    pair.run();
    EXPECT_TRUE(pair.client.up()) << secret;
  }
}

TEST(Handshake, ARefusalReachesTheClientInTheServersWords) {
  ClientOptions stranger = options();
  stranger.id = 8;
  Joined pair(stranger);
  pair.run();
  EXPECT_EQ(pair.server_down->code, Errc::unknown_id);
  EXPECT_EQ(pair.client_down->code, Errc::peer_refused);
  EXPECT_TRUE(pair.client_down->from_peer);
  EXPECT_EQ(pair.client_down->text, pair.server_down->text);
  EXPECT_FALSE(pair.server.admitted());
}

TEST(Handshake, AClientMayPipelineAllItsMessages) {
  Server server = server_at(0);
  EXPECT_EQ(outline(server.on_message(init(), 0, t0)), "Admit Send(ACK)");
  EXPECT_EQ(outline(server.on_message(AddRegion{0, region_size}, 1, t0)), "MapRegion Send(ACK)");
  EXPECT_EQ(outline(server.on_message(m2s_ring(0, 4096), 1, t0)), "AttachRing Send(ACK)");
  EXPECT_EQ(outline(server.on_message(AddRegion{1, 1}, 1, t0)), "MapRegion Send(ACK)");
  EXPECT_EQ(outline(server.on_message(s2m_ring(0, 0), 1, t0)), "AttachRing Send(ACK)");
  EXPECT_EQ(outline(server.on_message(Connect{"c"}, 0, t0)), "Establish Send(CONNECTED) Deadline Up");
}

TEST(OneOfEach, IsOneOfEachMessageInTheirOrder) {
  const std::vector<Message> messages = one_of_each();
  ASSERT_EQ(messages.size(), std::variant_size_v<Message>);
  for (std::size_t kind = 0; kind < messages.size(); ++kind) EXPECT_EQ(messages[kind].index(), kind);
}

// Which kinds (indexes into one_of_each()) each state takes: 0 ACK, 1 HELLO, 2 INIT, 3 ADD_REGION, 4 ADD_RING, 5
// CONNECT, 6 CONNECTED. What is taken here may still be refused for what it says. Every state takes DISCONNECT.
using Taken = std::vector<std::size_t>;

template <class MachineAt>
void expect_every_message_judged(const std::vector<Taken>& taken, MachineAt machine_at) {
  const std::vector<Message> messages = one_of_each();
  for (int state = 0; state < static_cast<int>(taken.size()); ++state) {
    const Taken& takes = taken[static_cast<std::size_t>(state)];
    for (std::size_t kind = 0; kind < messages.size(); ++kind) {
      if (std::holds_alternative<Disconnect>(messages[kind])) continue;
      SCOPED_TRACE(std::string(message::name(messages[kind])) + " in state " + std::to_string(state));
      auto machine = machine_at(state);
      const auto actions = machine.on_message(messages[kind], fds_of(messages[kind]), t0);
      if (std::find(takes.begin(), takes.end(), kind) == takes.end()) {
        expect_refused(machine, actions, Errc::unexpected_message, message::name(messages[kind]));
        EXPECT_TRUE(machine.done());
        continue;
      }
      ASSERT_FALSE(actions.empty());
      if (const Down* down = find<Down>(actions)) {
        EXPECT_NE(down->reason.code, Errc::unexpected_message);
      }
    }
  }
}

TEST(Handshake, TheServerRefusesEveryMessageThatIsNotDue) {
  const std::vector<Taken> taken = {{2}, {3, 4}, {3, 4}, {3, 4, 5}, {}};
  ASSERT_EQ(taken.size(), static_cast<std::size_t>(server_states));
  expect_every_message_judged(taken, [](int state) { return server_at(state); });
}

TEST(Handshake, TheClientRefusesEveryMessageThatIsNotDue) {
  const std::vector<Taken> taken = {{1}, {}, {0}, {0}, {0}, {6}, {}};
  ASSERT_EQ(taken.size(), static_cast<std::size_t>(client_states));
  expect_every_message_judged(taken, [](int state) { return client_at(state); });
}

template <class Machine>
void expect_silence(Machine& machine) {
  EXPECT_TRUE(machine.done());
  EXPECT_FALSE(machine.up());
  for (const Message& message : one_of_each()) EXPECT_TRUE(machine.on_message(message, 1, t0).empty());
  EXPECT_TRUE(machine.start(t0).empty());
  EXPECT_TRUE(machine.on_refused_input({Errc::malformed_message, "short"}).empty());
  EXPECT_TRUE(machine.on_deadline(t0 + 1h).empty());
  EXPECT_TRUE(machine.on_closed().empty());
  EXPECT_TRUE(machine.abort({Errc::bad_region, false, "no"}).empty());
  EXPECT_TRUE(machine.disconnect({Errc::closed, false, "no"}).empty());
  if constexpr (std::is_same_v<Machine, Client>) {
    EXPECT_TRUE(machine.allocated({1}, {}, t0).empty());
  }
}

// Ends a machine in each of the ways there are, and sees that it stays ended.
template <class Machine>
void expect_ends(Machine machine) {
  const bool up = machine.up();
  const auto ends = [&machine](auto end, auto judge) {
    Machine copy = machine;
    const auto actions = end(copy);
    judge(copy, actions);
    expect_silence(copy);
  };
  ends(
      [](Machine& m) {
        return m.on_message(Disconnect{5, "their words"}, 0, t0);
      },
      [&](const Machine&, const auto& a) {
        expect_down(a, up ? Errc::peer_disconnected : Errc::peer_refused, true, "their words");
      });
  ends(
      [](Machine& m) {
        return m.on_message(Disconnect{5, ""}, 2, t0);
      },
      [&](const Machine&, const auto& a) {
        expect_down(a, up ? Errc::peer_disconnected : Errc::peer_refused, true, "code 5");
      });
  ends([](Machine& m) { return m.on_closed(); },
       [](const Machine&, const auto& a) { expect_down(a, Errc::peer_gone, false, "closed the control channel"); });
  ends(
      [](Machine& m) {
        return m.on_refused_input({Errc::malformed_message, "3 bytes"});
      },
      [](const Machine& m, const auto& a) { expect_refused(m, a, Errc::malformed_message, "3 bytes"); });
  ends(
      [](Machine& m) {
        return m.abort({Errc::wrong_cookie, false, "ring 0: cookie"});
      },
      [](const Machine& m, const auto& a) { expect_refused(m, a, Errc::wrong_cookie, "ring 0: cookie"); });
  ends(
      [](Machine& m) {
        return m.abort({Errc::peer_disconnected, true, "said it"});
      },
      [](const Machine&, const auto& a) { expect_down(a, Errc::peer_disconnected, true, "said it"); });
  ends(
      [](Machine& m) {
        return m.disconnect({Errc::closed, false, "removed"});
      },
      [](const Machine& m, const auto& a) { expect_refused(m, a, Errc::closed, "removed"); });
}

TEST(Handshake, EitherSideEndsInEveryStateInEveryWayOnceAndForAll) {
  for (int state = 0; state < server_states; ++state) expect_ends(server_at(state));
  for (int state = 0; state < client_states; ++state) expect_ends(client_at(state));
}

TEST(Handshake, AReasonThatIsTooLongIsCutForThePeerOnly) {
  Server server = server_at(4);
  const Server::Actions actions = server.abort({Errc::broken_ring, false, std::string(500, 'x')});
  EXPECT_EQ(sent<Disconnect>(actions)->text, std::string(95, 'x'));
  EXPECT_EQ(find<Down>(actions)->reason.text, std::string(500, 'x'));
}

TEST(Handshake, ErrorsOfTheSystemReachThePeerAsWordsOnly) {
  Server server = server_at(2);
  const Server::Actions actions = server.abort({std::error_code(12, std::system_category()), false, "mmap: no memory"});
  EXPECT_EQ(sent<Disconnect>(actions)->code, 0U);
  EXPECT_EQ(sent<Disconnect>(actions)->text, "mmap: no memory");
  EXPECT_EQ(find<Down>(actions)->reason.code.value(), 12);
}

TEST(Handshake, CallsThatAreNotDueDoNothing) {
  for (int state = 0; state < client_states; ++state) {
    if (state == 1) continue;
    EXPECT_TRUE(client_at(state).allocated({1}, {}, t0).empty()) << state;
  }
}

TEST(Handshake, TheDeadlineIsSetAtTheStart) {
  Server server(identity(), directory(policy()));
  const Server::Actions actions = server.start(t0);
  EXPECT_EQ(outline(actions), "Send(HELLO) Deadline");
  EXPECT_EQ(find<Deadline>(actions)->when, t0 + 5s);
  Client client{options()};
  EXPECT_EQ(find<Deadline>(client.start(t0))->when, t0 + 3s);
}

TEST(Handshake, ADeadlineThatFiresEarlyIsSetAgain) {
  Server server = server_at(2);
  const Server::Actions actions = server.on_deadline(t0 + 5s - 1ns);
  ASSERT_EQ(outline(actions), "Deadline");
  EXPECT_EQ(find<Deadline>(actions)->when, t0 + 5s);
  EXPECT_FALSE(server.done());
}

TEST(Handshake, ATimeoutSaysWhatWasWaitedFor) {
  const char* server_words[] = {"waiting for INIT", "regions, rings or CONNECT", "regions, rings or CONNECT",
                                "regions, rings or CONNECT"};
  for (int state = 0; state < server_states - 1; ++state) {
    Server server = server_at(state);
    expect_refused(server.on_deadline(t0 + 5s), Errc::timed_out, server_words[state]);
    expect_silence(server);
  }
  const char* client_words[] = {"waiting for HELLO", "allocating memory", "ACK of INIT",
                                "ACK of region 0",   "ACK of S2M ring 0", "waiting for CONNECTED"};
  for (int state = 0; state < client_states - 1; ++state) {
    Client client = client_at(state);
    expect_refused(client, client.on_deadline(t0 + 3s), Errc::timed_out, client_words[state]);
    expect_silence(client);
  }
}

TEST(Handshake, ATimeoutBeyondTheEndOfTheClockIsNoOverflow) {
  ClientOptions patient = options();
  patient.timeout = std::chrono::milliseconds::max();
  Client client{patient};
  EXPECT_EQ(find<Deadline>(client.start(t0))->when, Clock::time_point::max());
}

TEST(Handshake, AServerThatClosesAfterAcknowledgingAnUnknownIdIsExplained) {
  Client client = client_at(3);
  expect_down(client.on_closed(), Errc::peer_gone, false, "interface of id 7?");
  Client later = client_at(4);
  EXPECT_EQ(find<Down>(later.on_closed())->reason.text.find("id 7"), std::string::npos);
}

}  // namespace
}  // namespace memif::handshake
