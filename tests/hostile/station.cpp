#include "station.hpp"

#include <cstddef>
#include <cstring>

namespace memif::hostile {

Station::Station(Context& context, InterfaceConfig config, std::uint32_t number)
    : interface_(context.add(std::move(config))), number_(number) {}

Station::Frame Station::make(std::uint32_t station, std::uint32_t number) {
  Frame frame{.destination = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
              .source = {0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(station)},
              .type = {0x88, 0xb5},  // for experiments
              .mark = {'s', 't', 'a', 't', 'i', 'o', 'n'},
              .station = station,
              .number = number,
              .rest = {}};
  frame.rest.fill(number * 2654435761u);
  return frame;
}

void Station::turn() {
  receive();
  send();
}

void Station::receive() {
  const RxBurst burst = interface_.rx(0).receive(buffers_);
  for (const Packet packet : burst) look_at(packet);
}

// A mirror has exchanged the addresses. What an attacker has made of a frame is no frame of ours.
void Station::look_at(const Packet& packet) {
  Frame frame;
  if (packet.size() != sizeof frame) return;
  packet.copy_to(std::as_writable_bytes(std::span(&frame, 1)));
  if (frame.station >= last_.size() || frame.number <= last_[frame.station]) return;
  Frame expected = make(frame.station, frame.number);
  if (frame.destination != expected.destination) std::swap(expected.destination, expected.source);
  if (frame != expected) return;
  last_[frame.station] = frame.number;
  ++received_[frame.station];
}

void Station::send() {
  static std::uint32_t sent = 0;  // by any, so that none of those with one number begins anew
  TxBurst burst = interface_.tx(0).allocate(std::span(buffers_).first(4), sizeof(Frame));
  for (const Packet packet : burst) {
    const Frame frame = make(number_, ++sent);
    packet.copy_from(std::as_bytes(std::span(&frame, 1)));
  }
  burst.send();
}

}  // namespace memif::hostile
