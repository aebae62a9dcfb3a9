// A peer that behaves: it sends Ethernet frames to all, numbered, and counts those that come to it as they were sent.
#pragma once

#include <array>
#include <cstdint>

#include <memif/memif.hpp>

namespace memif::hostile {

class Station {
 public:
  // `number`: its own, less than 4.
  Station(Context& context, InterfaceConfig config, std::uint32_t number);

  // Receives, and sends a few.
  void turn();
  bool connected() const { return interface_.connected(); }
  std::uint64_t disconnects() const { return interface_.info().disconnects; }
  // Frames of that station, none twice.
  std::uint64_t received_from(std::uint32_t number) const { return received_[number]; }

 private:
  struct Frame {
    std::array<std::uint8_t, 6> destination, source;
    std::array<std::uint8_t, 2> type;
    std::array<std::uint8_t, 10> mark;
    std::uint32_t station, number;
    std::array<std::uint32_t, 20> rest;
    bool operator==(const Frame&) const = default;
  };
  static Frame make(std::uint32_t station, std::uint32_t number);
  void receive();
  void look_at(const Packet& packet);
  void send();

  Interface& interface_;
  const std::uint32_t number_;
  std::array<std::uint64_t, 4> received_{};
  std::array<std::uint32_t, 4> last_{};
  std::array<Buffer, 64> buffers_;
};

}  // namespace memif::hostile
