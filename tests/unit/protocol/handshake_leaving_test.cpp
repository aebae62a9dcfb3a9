// Every way out of the handshake, seen by acceptors that others wrote: walks all paths through both machines, ends each
// of them at every step in every way, and asks what that does to the peer. docs/protocol.md, "Leaving".
#include <functional>
#include <memory>

#include "handshake_fixture.hpp"
#include "protocol/handshake.hpp"

namespace memif::handshake {
namespace {

using namespace test;
using namespace message;

// What acceptors of all kinds have seen of a client when it leaves. It must not be what one of them dies of.
struct Acceptor {
  bool greeted = false;  // its HELLO (or what it has in place of that) is in the client's channel
  bool taken = false;    // ... and no longer there
  bool spoken_to = false;
  bool identified = false;

  void hear(const Message& message) {
    EXPECT_TRUE(identified || std::holds_alternative<Init>(message)) << name(message) << " before INIT ends libmemif";
    spoken_to = true;
    identified = identified || std::holds_alternative<Init>(message);
  }
  void lose(Leave how) const {
    EXPECT_TRUE(greeted || how == Leave::when_greeted) << "closing before HELLO ends programs of libmemif 4.0";
    EXPECT_TRUE(!taken || spoken_to) << "closing with HELLO taken and nothing said ends VPP";
  }
};

// What a host cannot do, it tells the machine. To send and to close it does as far as it can.
template <class Action>
bool can_fail(const Action& action) {
  return !std::holds_alternative<Send>(action) && !std::holds_alternative<Down>(action);
}

class ClientHost {
 public:
  using Actions = Client::Actions;
  Client client{options()};
  Acceptor peer;
  bool over = false;

  void run(const Actions& actions, std::size_t fails_at = SIZE_MAX) {
    for (std::size_t i = 0; i < actions.size() && !over; ++i) {
      if (i == fails_at && can_fail(actions[i])) return run(client.abort({Errc::bad_region, false, "cannot"}));
      if (const auto* send = std::get_if<Send>(&actions[i])) peer.hear(send->message);
      if (std::holds_alternative<TakeGreeting>(actions[i])) peer.taken = true;
      if (std::holds_alternative<Down>(actions[i])) {
        over = true;
        peer.lose(client.leave());
      }
    }
    EXPECT_EQ(client.done(), over);
  }
  // A host that has no memory to ask the machine, or to tell it.
  void drop() const {
    Acceptor left = peer;
    if (client.leave() == Leave::told) left.hear(Disconnect{});
    left.lose(client.leave());
  }
};

class ServerHost {
 public:
  using Actions = Server::Actions;
  Server server{identity(), directory(policy())};
  unsigned hellos = 0, goodbyes = 0, owed = 0;  // acknowledgements
  bool over = false;

  void run(const Actions& actions, std::size_t fails_at = SIZE_MAX) {
    for (std::size_t i = 0; i < actions.size() && !over; ++i) {
      if (i == fails_at && can_fail(actions[i])) return run(server.abort({Errc::bad_region, false, "cannot"}));
      if (const auto* send = std::get_if<Send>(&actions[i])) say(send->message);
      over = over || std::holds_alternative<Down>(actions[i]);
    }
    EXPECT_EQ(server.done(), over);
  }
  void drop() const { EXPECT_EQ(server.leave(), Leave::told); }

 private:
  // Clients take DISCONNECT at any time, and nothing else that is not due.
  void say(const Message& message) {
    EXPECT_EQ(goodbyes, 0u) << name(message) << " after DISCONNECT";
    if (std::holds_alternative<Disconnect>(message)) {
      ++goodbyes;
    } else if (std::holds_alternative<Hello>(message)) {
      EXPECT_EQ(hellos++, 0u);
    } else {
      EXPECT_EQ(hellos, 1u) << name(message) << " before HELLO";
      EXPECT_TRUE(std::holds_alternative<Ack>(message) || std::holds_alternative<Connected>(message));
      EXPECT_EQ(owed, 1u) << name(message) << " unasked";
      owed = 0;
    }
  }
};

template <class Host>
using Event = std::function<typename Host::Actions(Host&)>;

template <class Host, class Machine>
void add_common(std::vector<Event<Host>>& events, Machine Host::*machine) {
  const auto add = [&](auto happens) {
    events.push_back([machine, happens](Host& host) { return happens(host.*machine); });
  };
  add([](Machine& m) { return m.on_deadline(t0 + 1h); });
  add([](Machine& m) { return m.abort({Errc::bad_region, false, "own"}); });
  add([](Machine& m) { return m.abort({Errc::peer_refused, true, "theirs"}); });
  add([](Machine& m) { return m.disconnect({Errc::closed, false, "removed"}); });
}

std::vector<Event<ClientHost>> client_events() {
  std::vector<Event<ClientHost>> events;
  add_common(events, &ClientHost::client);
  std::vector<Message> messages = one_of_each();
  messages.push_back(Hello{"old", 0x0100, 0x0100, 0, 0, 0, 14});
  for (const Message& message : messages)
    for (const std::size_t fds : {std::size_t{0}, std::size_t{1}})
      events.push_back([message, fds](ClientHost& host) {
        host.peer.greeted = true;
        return host.client.on_message(message, fds, t0);
      });
  events.push_back([](ClientHost& host) {
    host.peer.greeted = true;
    return host.client.on_refused_input({Errc::malformed_message, "noise"});
  });
  events.push_back([](ClientHost& host) {
    host.peer.greeted = true;  // and gone: there is nobody left to harm
    return host.client.on_closed();
  });
  events.push_back([](ClientHost& host) {
    return host.client.allocated({region_size}, {{true, 0, 0, 0, 4}, {false, 0, 0, 1024, 4}}, t0);
  });
  events.push_back([](ClientHost& host) { return host.client.allocated({region_size}, {{true, 9, 0, 0, 4}}, t0); });
  return events;
}

std::vector<Event<ServerHost>> server_events() {
  std::vector<Event<ServerHost>> events;
  add_common(events, &ServerHost::server);
  for (const Message& message : one_of_each())
    for (const std::size_t fds : {std::size_t{0}, std::size_t{1}})
      events.push_back([message, fds](ServerHost& host) {
        host.owed = 1;
        return host.server.on_message(message, fds, t0);
      });
  events.push_back([](ServerHost& host) { return host.server.on_refused_input({Errc::malformed_message, "noise"}); });
  events.push_back([](ServerHost& host) { return host.server.on_closed(); });
  return events;
}

// All that can come after `host`, to a depth that reaches past the established link. Returns the number of ends.
template <class Host>
std::size_t walk(const Host& host, const std::vector<Event<Host>>& events, int depth) {
  host.drop();
  if (host.over) return 1;
  if (depth == 0) return 0;
  std::size_t ends = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    SCOPED_TRACE("event " + std::to_string(i));
    Host next = host;
    const auto actions = events[i](next);
    for (std::size_t fails = 0; fails < actions.size(); ++fails) {
      Host failing = next;
      failing.run(actions, fails);
      failing.drop();
      ends += failing.over ? 1 : 0;
    }
    if (actions.empty()) continue;  // nothing has changed
    next.run(actions);
    ends += walk(next, events, depth - 1);
    if (testing::Test::HasFailure()) return ends;
  }
  return ends;
}

TEST(Leaving, NoClientEndsAnAcceptorWhateverHappensWhenever) {
  ClientHost host;
  host.drop();
  host.run(host.client.start(t0));
  EXPECT_GT(walk(host, client_events(), 9), 100u);
}

TEST(Leaving, NoServerSurprisesAClientWhateverHappensWhenever) {
  ServerHost host;
  host.drop();
  host.run(host.server.start(t0));
  EXPECT_GT(walk(host, server_events(), 8), 100u);
}

TEST(Leaving, AClientLeavesTheGreetingInTheChannelUntilItHasSentInit) {
  Client client = client_at(0);
  EXPECT_TRUE(client.only_looks());
  EXPECT_EQ(client.leave(), Leave::when_greeted);
  client.on_message(hello(), 0, t0);
  EXPECT_TRUE(client.only_looks());
  EXPECT_EQ(client.leave(), Leave::unread);
  EXPECT_EQ(outline(client.allocated({region_size}, {{true, 0, 0, 0, 4}}, t0)), "Send(INIT) TakeGreeting");
  EXPECT_FALSE(client.only_looks());
  EXPECT_EQ(client.leave(), Leave::unread);
}

TEST(Leaving, AClientThatTheServerHasAcknowledgedSaysWhyItGoes) {
  for (int state = 3; state < client_states; ++state)
    expect_refused(client_at(state).disconnect({Errc::closed, false, "removed"}), Errc::closed, "removed");
}

TEST(Leaving, AServerSaysWhyInEveryState) {
  for (int state = 0; state < server_states; ++state)
    expect_refused(server_at(state).disconnect({Errc::closed, false, "removed"}), Errc::closed, "removed");
}

}  // namespace
}  // namespace memif::handshake
