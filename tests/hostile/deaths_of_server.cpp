// Where a server stops, and perhaps dies: every step of the handshake, and the data path in both directions.
#include <cstring>

#include "deaths.hpp"

namespace memif::hostile {
namespace {

using S = RawServer;

// INIT is read; then so many of the client's messages, each after the acknowledgement of the one before.
void take(S& s, unsigned messages, bool acknowledge) {
  s.hello();
  for (; messages != 0; --messages) s.send(message::Ack{}), s.receive();
  if (acknowledge) s.send(message::Ack{});
}

void fill(S& s, int slot, std::uint16_t flags) {
  volatile Slot& at = s.m2s.slot(plus(s.m2s.tail(), slot));
  at.length = 64;
  at.flags = flags;
  fence();
}

// The client has sent so much that its ring is full.
void await_full(S& s) {
  until("the client's ring is full", [&] { return plus(s.s2m.head(), -s.s2m.tail()) == ring_size; });
}
void take_packets(S& s, unsigned count) { s.s2m.tail() = plus(s.s2m.tail(), static_cast<int>(count)); }

std::vector<AttackOnClient> handshake() {
  const Expected gone = refused(Errc::peer_gone);
  std::vector<AttackOnClient> points = {{"accepted", gone, [](S& s) { s.accept(); }},
                                        {"hello_sent", gone, [](S& s) { s.accept(), s.send(s.greeting()); }}};
  const char* const messages[] = {"init", "region", "second_region", "ring", "second_ring"};
  for (unsigned i = 0; i < std::size(messages); ++i) {
    points.push_back({std::string(messages[i]) + "_read", gone, [i](S& s) { take(s, i, false); }});
    points.push_back({std::string(messages[i]) + "_acknowledged", gone, [i](S& s) { take(s, i, true); }});
  }
  points.push_back({"connect_read", gone, [](S& s) { s.layout(); }});
  points.push_back({"connected_sent", lost(Errc::peer_gone), [](S& s) { s.connect(); }});
  return points;
}

std::vector<OnLink<S>> sending() {
  return {{"buffer_half_written",
           [](S& s) { std::memset(s.regions.back().base + s.m2s.slot(s.m2s.tail()).offset, 1, 32); }},
          {"descriptor_not_published", [](S& s) { fill(s, 0, 0); }},
          {"chain_half_published",
           [](S& s) {
             fill(s, 0, 1);
             s.m2s.tail() = plus(s.m2s.tail(), 1);
           }},
          {"packet_published", [](S& s) { s.send_packet(); }},
          {"packet_signalled", [](S& s) { s.send_packet(), ring_bell(s.events.at(1)); }},
          {"all_buffers_filled",
           [](S& s) {
             for (int i = 0; i < static_cast<int>(ring_size); ++i) fill(s, i, 0);
             s.m2s.tail() = s.m2s.head();
           }},
          {"all_taken", [](S& s) { s.stream(10); }},
          {"amid_sending", [](S& s) { s.stream(300), s.send_packet(), s.send_packet(); }}};
}

std::vector<OnLink<S>> receiving() {
  return {{"nothing_taken", [](S& s) { await_full(s); }},
          {"one_packet_taken", [](S& s) { await_full(s), take_packets(s, 1); }},
          {"half_of_a_chain_taken", [](S& s) { await_full(s), take_packets(s, 9); }},
          {"half_taken", [](S& s) { await_full(s), take_packets(s, ring_size / 2); }},
          {"ring_emptied", [](S& s) { await_full(s), take_packets(s, ring_size); }},
          {"asked_for_interrupts",
           [](S& s) {
             s.s2m.flags() = 0;
             await_full(s);
           }},
          {"asked_and_emptied",
           [](S& s) {
             s.s2m.flags() = 0;
             await_full(s), take_packets(s, ring_size);
           }},
          {"amid_receiving", [](S& s) {
             for (int i = 0; i < 20; ++i) await_full(s), take_packets(s, ring_size);
           }}};
}

}  // namespace

std::vector<AttackOnClient> deaths_of_server() { return deaths(handshake(), sending(), receiving()); }

}  // namespace memif::hostile
