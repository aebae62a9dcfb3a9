// What a learning switch knows: behind which port each MAC address was last seen.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/address.hpp"
#include "net/siphash.hpp"

namespace memif::tool {

// Whoever sends frames chooses the addresses, so the hash has a key that nobody knows, each port has its share of the
// table, and no call takes long: neither do invented addresses slow the switch down, nor drive out those of other
// ports.
class MacTable {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr std::size_t addresses_per_port = 16384;

  // An address not seen for `age` is forgotten. Beyond `per_port` addresses of a port, new ones of that port are not
  // learnt until others of it age.
  explicit MacTable(std::chrono::nanoseconds age, std::size_t per_port = addresses_per_port)
      : age_(age), per_port_(per_port) {}

  // A frame came from `mac` at `port`. Group addresses are no one's source and are not learnt.
  void learn(const Mac& mac, std::size_t port, Time now);

  // Where frames to `mac` belong; nothing: everywhere.
  std::optional<std::size_t> find(const Mac& mac, Time now) const;

  std::size_t size() const noexcept { return entries_.size(); }
  std::uint64_t moves() const noexcept { return moves_; }  // of addresses from one port to another

 private:
  struct Entry {
    std::size_t port;
    Time seen;
  };
  struct Hash {
    SipKey key = random_sip_key();
    std::size_t operator()(std::uint64_t mac) const noexcept { return siphash(key, mac); }
  };
  using Entries = std::unordered_map<std::uint64_t, Entry, Hash>;

  void expect(std::size_t port);
  void move(Entries::iterator known, std::size_t port, Time now);
  void sweep(Time now);

  std::chrono::nanoseconds age_;
  std::size_t per_port_;
  std::uint64_t moves_ = 0;
  Time swept_{};
  std::size_t next_bucket_ = 0;      // that is swept
  std::vector<std::size_t> learnt_;  // addresses, by port
  Entries entries_{0, Hash{}};
};

}  // namespace memif::tool
