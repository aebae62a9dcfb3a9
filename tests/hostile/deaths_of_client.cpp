// Where a client stops, and perhaps dies: every step of the handshake, and the data path in both directions.
#include <cstring>

#include "deaths.hpp"

namespace memif::hostile {
namespace {

using C = RawClient;

void write_descriptor(C& c, std::uint16_t index, std::uint16_t flags) {
  volatile Slot& slot = c.s2m.slot(index);
  slot.region = 0;
  slot.length = 64;
  slot.offset = C::buffer(true, index);
  slot.flags = flags;
  fence();
}

void send_ring(C& c, bool to_server) { c.send(c.ring(to_server), {c.event()}); }
void acknowledged_ring(C& c, bool to_server) {
  send_ring(c, to_server);
  c.expect<message::Ack>();
}

// Until the server has put so many packets' buffers to use, counted from the link's beginning.
void await_packets(C& c, unsigned buffers) {
  until("the server sends", [&] { return c.m2s.tail() >= buffers; });
}
void post(C& c, unsigned count) {
  c.post_all();
  c.m2s.head() = plus(c.m2s.tail(), static_cast<int>(count));
}

std::vector<AttackOnServer> handshake() {
  const Expected gone = refused(Errc::peer_gone);
  return {{"connected", gone, [](C& c) { c.open(); }},
          {"hello_read", gone, [](C& c) { c.hello(); }},
          {"init_sent", gone, [](C& c) { c.hello(), c.send(c.init()); }},
          {"init_acknowledged", gone, [](C& c) { c.admit(); }},
          {"region_sent", gone,
           [](C& c) {
             c.admit(), c.make_memory(), c.send(message::AddRegion{0, c.size}, {c.memory});
           }},
          {"region_acknowledged", gone, [](C& c) { c.region(); }},
          {"ring_sent", gone, [](C& c) { c.region(), send_ring(c, true); }},
          {"ring_acknowledged", gone, [](C& c) { c.region(), acknowledged_ring(c, true); }},
          {"second_ring_sent", gone, [](C& c) { c.region(), acknowledged_ring(c, true), send_ring(c, false); }},
          {"rings_acknowledged", gone, [](C& c) { c.rings(); }},
          {"connect_sent", lost(Errc::peer_gone), [](C& c) { c.rings(), c.send(message::Connect{"hostile"}); }},
          {"connected_read", lost(Errc::peer_gone), [](C& c) { c.connect(); }}};
}

std::vector<OnLink<C>> sending() {
  return {{"buffer_half_written", [](C& c) { std::memset(c.base + C::buffer(true, 0), 1, 32); }},
          {"descriptor_not_published", [](C& c) { write_descriptor(c, c.s2m.head(), 0); }},
          {"chain_half_published",
           [](C& c) {
             write_descriptor(c, c.s2m.head(), 1);
             c.s2m.head() = plus(c.s2m.head(), 1);
           }},
          {"packet_published", [](C& c) { c.send_packet(); }},
          {"packet_signalled", [](C& c) { c.send_packet(), ring_bell(c.event()); }},
          {"sending_ring_full",
           [](C& c) {
             for (unsigned i = 0; i < ring_size; ++i) write_descriptor(c, static_cast<std::uint16_t>(i), 0);
             c.s2m.head() = plus(c.s2m.tail(), ring_size);
           }},
          {"all_taken", [](C& c) { c.stream(10); }},
          {"amid_sending", [](C& c) { c.stream(300), c.send_packet(), c.send_packet(); }}};
}

std::vector<OnLink<C>> receiving() {
  return {{"buffers_not_published",
           [](C& c) {
             for (std::uint16_t i = 0; i < ring_size; ++i) c.m2s.slot(i).offset = C::buffer(false, i);
           }},
          {"one_buffer_posted", [](C& c) { post(c, 1); }},
          {"half_the_buffers_posted", [](C& c) { post(c, ring_size / 2); }},
          {"all_buffers_posted", [](C& c) { c.post_all(); }},
          {"packets_not_given_back", [](C& c) { c.post_all(), await_packets(c, ring_size); }},
          {"half_given_back", [](C& c) { c.post_all(), await_packets(c, ring_size), post(c, ring_size / 2); }},
          {"asked_for_interrupts",
           [](C& c) {
             c.m2s.flags() = 0;
             c.post_all(), await_packets(c, 1);
           }},
          {"amid_receiving", [](C& c) {
             for (unsigned i = 1; i <= 20; ++i) c.post_all(), await_packets(c, i * ring_size / 2);
           }}};
}

}  // namespace

std::vector<AttackOnServer> deaths_of_client() { return deaths(handshake(), sending(), receiving()); }

}  // namespace memif::hostile
