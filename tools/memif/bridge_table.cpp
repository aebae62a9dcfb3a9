#include "bridge_table.hpp"

#include <algorithm>

namespace memif::tool {
namespace {

std::uint64_t key(const Mac& mac) noexcept {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : mac) value = value << 8 | byte;
  return value;
}

bool group(const Mac& mac) noexcept { return (mac[0] & 1) != 0; }

}  // namespace

void MacTable::learn(const Mac& mac, std::size_t port, Time now) {
  if (group(mac)) return;
  const auto known = entries_.find(key(mac));
  if (known != entries_.end()) {
    if (known->second.port != port) ++moves_;
    known->second = {port, now};
    return;
  }
  if (now >= next_sweep_) sweep(now);
  if (entries_.size() < capacity_) entries_.emplace(key(mac), Entry{port, now});
}

std::optional<std::size_t> MacTable::find(const Mac& mac, Time now) const {
  if (group(mac)) return std::nullopt;
  const auto known = entries_.find(key(mac));
  if (known == entries_.end() || now - known->second.seen >= age_) return std::nullopt;
  return known->second.port;
}

// Often enough that the table holds little that is old; seldom enough to cost nothing.
void MacTable::sweep(Time now) {
  std::erase_if(entries_, [&](const auto& entry) { return now - entry.second.seen >= age_; });
  next_sweep_ = now + std::min<std::chrono::nanoseconds>(age_, std::chrono::seconds(1));
}

}  // namespace memif::tool
