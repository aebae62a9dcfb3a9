// IP fragments become datagrams again (RFC 791, RFC 8200 4.5). Whoever sends them is not to be trusted: what is kept is
// limited in number, bytes and time, and a datagram with parts that overlap is dropped (RFC 5722).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "net/codec.hpp"

namespace memif::tool {

struct ReassemblyLimits {
  std::size_t datagrams = 64;                // that are incomplete: beyond that, the oldest is given up
  std::size_t bytes = std::size_t{1} << 20;  // of their payloads: the same
  std::size_t parts = 512;                   // of one datagram: with more it is dropped
  std::chrono::nanoseconds age = std::chrono::seconds(30);
};

class Reassembler {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Reassembler(const ReassemblyLimits& limits = {}) : limits_(limits) {}

  // The datagram that `fragment` completes, in one packet behind a copy of `link_header`; valid until the next call.
  std::optional<View> add(View link_header, const Fragment& fragment, Time now);

  std::size_t incomplete() const noexcept { return datagrams_.size(); }
  std::size_t bytes() const noexcept { return bytes_; }  // of those

 private:
  struct Part {
    std::size_t begin, end;
  };
  struct Datagram {
    IpAddress source, destination;
    std::uint32_t id;
    std::uint8_t protocol;  // IPv6: as the first part says, and until it has come, none
    Time began;
    std::optional<std::size_t> size{};  // of the payload, once the last part has come
    std::size_t received = 0;           // bytes of it
    std::vector<Part> parts{};          // in order
    Bytes payload{};
  };
  using Place = std::vector<Datagram>::iterator;

  Place find(const Fragment& fragment, Time now);
  bool put(Datagram& datagram, const Fragment& fragment) const;
  void drop(Place datagram);
  void keep_limits(Time now);
  View build(View link_header, const Datagram& datagram, std::uint8_t hop_limit);

  ReassemblyLimits limits_;
  std::vector<Datagram> datagrams_;  // the oldest first
  std::size_t bytes_ = 0;            // of all their payloads
  Bytes packet_;
};

}  // namespace memif::tool
