// What the handshake's tests share: ready-made configurations and messages, ways to read action lists, and a client
// and a server joined in memory with a clock that only the test moves.
#pragma once

#include <algorithm>
#include <deque>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

#include <memif/detail/wire.hpp>

#include "protocol/handshake.hpp"

namespace memif::handshake::test {

using namespace std::chrono_literals;
using message::Message;

inline constexpr Clock::time_point t0{1000h};
inline constexpr std::uint64_t region_size = 1 << 20;

inline ServerIdentity identity() { return {"server app", 255, 255, 255, 14, 5s}; }

inline ServerPolicy policy() {
  ServerPolicy policy;
  policy.max_s2m_rings = 4;
  policy.max_m2s_rings = 3;
  policy.interface_name = "server interface";
  return policy;
}

inline Directory directory(ServerPolicy policy) {
  return [policy](std::uint32_t id) { return id == 7 ? std::optional(policy) : std::nullopt; };
}

inline ClientOptions options() {
  ClientOptions options;
  options.app_name = "client app";
  options.interface_name = "client interface";
  options.id = 7;
  options.rings = {2, 1};
  options.timeout = 3s;
  return options;
}

inline message::Init init() { return {0x0200, 7, Mode::ethernet, {}, "client app"}; }
inline message::Hello hello() { return {"server app", 0x0200, 0x0200, 255, 255, 255, 14}; }
inline message::AddRing s2m_ring(std::uint16_t index, std::uint32_t offset) { return {true, index, 0, offset, 4, 0}; }
inline message::AddRing m2s_ring(std::uint16_t index, std::uint32_t offset) { return {false, index, 0, offset, 4, 0}; }

// One of each kind, in the order of Message's alternatives.
inline std::vector<Message> one_of_each() {
  return {message::Ack{},
          hello(),
          init(),
          message::AddRegion{0, region_size},
          s2m_ring(0, 0),
          message::Connect{"client interface"},
          message::Connected{"server interface"},
          message::Disconnect{1, "bye"}};
}

template <class T, class Action>
const T* find(const std::vector<Action>& actions) {
  for (const Action& action : actions) {
    if (const T* found = std::get_if<T>(&action)) return found;
  }
  return nullptr;
}

template <class T, class Action>
const T* sent(const std::vector<Action>& actions) {
  for (const Action& action : actions) {
    const Send* send = std::get_if<Send>(&action);
    if (send == nullptr) continue;
    if (const T* found = std::get_if<T>(&send->message)) return found;
  }
  return nullptr;
}

inline const Cases name_of{
    [](const Send& send) { return std::string("Send(") + message::name(send.message) + ")"; },
    [](const Deadline&) { return std::string("Deadline"); },
    [](const Down&) { return std::string("Down"); },
    [](const Up&) { return std::string("Up"); },
    [](const Admit&) { return std::string("Admit"); },
    [](const MapRegion&) { return std::string("MapRegion"); },
    [](const AttachRing&) { return std::string("AttachRing"); },
    [](const Establish&) { return std::string("Establish"); },
    [](const Allocate&) { return std::string("Allocate"); },
    [](const TakeGreeting&) { return std::string("TakeGreeting"); },
};

// The names of the actions in order: "MapRegion Send(ACK)".
template <class Action>
std::string outline(const std::vector<Action>& actions) {
  std::string text;
  for (const Action& action : actions) {
    if (!text.empty()) text += ' ';
    text += std::visit(name_of, action);
  }
  return text;
}

// The peer is told why, in a text that fits, and the host hears the same.
template <class Action>
void expect_refused(const std::vector<Action>& actions, Errc code, std::string_view part = {}) {
  ASSERT_EQ(outline(actions), "Send(DISCONNECT) Down");
  const auto& told = *sent<message::Disconnect>(actions);
  const Reason& reason = find<Down>(actions)->reason;
  EXPECT_EQ(reason.code, code) << reason.text;
  EXPECT_FALSE(reason.from_peer);
  EXPECT_EQ(told.code, static_cast<std::uint32_t>(code));
  EXPECT_EQ(told.text, reason.text);
  EXPECT_FALSE(told.text.empty());
  EXPECT_LT(told.text.size(), message::reason_size) << told.text;
  EXPECT_NE(told.text.find(part), std::string::npos) << told.text;
}

template <class Action>
void expect_down(const std::vector<Action>& actions, Errc code, bool from_peer, std::string_view part = {}) {
  ASSERT_EQ(outline(actions), "Down");
  const Reason& reason = find<Down>(actions)->reason;
  EXPECT_EQ(reason.code, code) << reason.text;
  EXPECT_EQ(reason.from_peer, from_peer);
  EXPECT_NE(reason.text.find(part), std::string::npos) << reason.text;
}

// The same of a client that may not have said anything yet: only the host hears then.
inline void expect_refused(const Client& client, const Client::Actions& actions, Errc code,
                           std::string_view part = {}) {
  if (client.leave() == Leave::told)
    expect_refused(actions, code, part);
  else
    expect_down(actions, code, false, part);
}
inline void expect_refused(const Server&, const Server::Actions& actions, Errc code, std::string_view part = {}) {
  expect_refused(actions, code, part);
}

inline constexpr int server_states = 5;

// A server that has come as far as: 0 waiting for INIT, 1 admitted, 2 with a region, 3 with a ring, 4 up.
inline Server server_at(int state, ServerPolicy its_policy = policy(), ServerIdentity its_identity = identity()) {
  Server server(std::move(its_identity), directory(std::move(its_policy)));
  server.start(t0);
  if (state > 0) server.on_message(init(), 0, t0);
  if (state > 1) server.on_message(message::AddRegion{0, region_size}, 1, t0);
  if (state > 2) server.on_message(s2m_ring(0, 0), 1, t0);
  if (state > 3) server.on_message(message::Connect{"client interface"}, 0, t0);
  EXPECT_FALSE(server.done());
  return server;
}

inline constexpr int client_states = 7;

// A client that waits for: 0 HELLO, 1 its memory, 2 ACK of INIT, 3 of its region, 4 of its ring, 5 CONNECTED; 6 up.
inline Client client_at(int state, ClientOptions its_options = options()) {
  Client client(std::move(its_options));
  client.start(t0);
  if (state > 0) client.on_message(hello(), 0, t0);
  if (state > 1) client.allocated({region_size}, {{true, 0, 0, 0, 4}}, t0);
  for (int acks = 2; acks < state && acks < 5; ++acks) client.on_message(message::Ack{}, 0, t0);
  if (state > 5) client.on_message(message::Connected{"server interface"}, 0, t0);
  EXPECT_FALSE(client.done());
  return client;
}

}  // namespace memif::handshake::test
