// What a learning switch knows: behind which port each MAC address was last seen.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "address.hpp"

namespace memif::tool {

class MacTable {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // An address not seen for `age` is forgotten. Beyond `capacity` addresses, new ones are not learnt until others age:
  // whoever invents addresses cannot make the table grow, nor drive out those that are in use.
  explicit MacTable(std::chrono::nanoseconds age, std::size_t capacity = 65536) : age_(age), capacity_(capacity) {}

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

  void sweep(Time now);

  std::chrono::nanoseconds age_;
  std::size_t capacity_;
  std::uint64_t moves_ = 0;
  Time next_sweep_{};
  std::unordered_map<std::uint64_t, Entry> entries_;
};

}  // namespace memif::tool
