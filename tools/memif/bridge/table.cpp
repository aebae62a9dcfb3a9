#include "bridge/table.hpp"

#include <algorithm>

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

// So many sweeps go over the whole table, each some time after the one before.
constexpr std::size_t sweeps = 1024;
constexpr auto sweep_period = 1ms;

std::uint64_t key(const Mac& mac) noexcept {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : mac) value = value << 8 | byte;
  return value;
}

bool group(const Mac& mac) noexcept { return (mac[0] & 1) != 0; }

}  // namespace

void MacTable::learn(const Mac& mac, std::size_t port, Time now) {
  if (group(mac)) return;
  if (port >= learnt_.size()) expect(port);
  if (now - swept_ >= sweep_period) sweep(now);
  const auto known = entries_.find(key(mac));
  if (known == entries_.end()) {
    if (learnt_[port] == per_port_) return;
    entries_.emplace(key(mac), Entry{port, now});
    ++learnt_[port];
  } else if (known->second.port != port) {
    move(known, port, now);
  } else {
    known->second.seen = now;
  }
}

std::optional<std::size_t> MacTable::find(const Mac& mac, Time now) const {
  if (group(mac)) return std::nullopt;
  const auto known = entries_.find(key(mac));
  if (known == entries_.end() || now - known->second.seen >= age_) return std::nullopt;
  return known->second.port;
}

// Room for all that its ports may have from the start: a table that grows stops the switch for a while.
void MacTable::expect(std::size_t port) {
  learnt_.resize(port + 1);
  entries_.reserve(learnt_.size() * per_port_);
}

// It is no longer where it was, also if the other port has no room for it.
void MacTable::move(Entries::iterator known, std::size_t port, Time now) {
  ++moves_;
  --learnt_[known->second.port];
  if (learnt_[port] == per_port_) {
    entries_.erase(known);
    return;
  }
  known->second = {port, now};
  ++learnt_[port];
}

// Forgets what is old in the next part of the table: the longer nothing was swept, the larger.
void MacTable::sweep(Time now) {
  const std::size_t parts =
      now - swept_ >= sweeps * sweep_period ? sweeps : static_cast<std::size_t>((now - swept_) / sweep_period);
  swept_ = now;
  const auto old = [&](const auto& entry) { return now - entry.second.seen >= age_; };
  for (std::size_t left = (entries_.bucket_count() * parts + sweeps - 1) / sweeps; left != 0; --left) {
    next_bucket_ = (next_bucket_ + 1) % entries_.bucket_count();
    const auto end = entries_.end(next_bucket_);
    for (auto found = std::find_if(entries_.begin(next_bucket_), end, old); found != end;
         found = std::find_if(entries_.begin(next_bucket_), end, old)) {
      const auto [mac, entry] = *found;
      --learnt_[entry.port];
      entries_.erase(mac);
    }
  }
}

}  // namespace memif::tool
