// Which buffer lies in which slot, as far as the application decides it. Client only: the buffers are this side's.
#include <utility>

#include "data/queues.hpp"
#include "memory/interrupt.hpp"

namespace memif {
namespace {

bool fits(const detail::Link& link, std::uint32_t offset) {
  return std::uint64_t{offset} + link.buffer_size <= link.views[link.buffer_region].size;
}

}  // namespace

void RawRx::remind_here() noexcept {
  if (!up()) return;
  mask_interrupts();
  signal_interrupt(event_fd_, link_->rx[index_].interrupt.user());
}

bool RawRx::exchange(std::uint16_t slot, RawRx& other, std::uint16_t other_slot) noexcept {
  if (link_changed()) refresh();
  if (!shares_buffers_with(other) || slot >= ring_.size() || other_slot >= other.ring_.size()) return false;
  if (!holds(slot) || !other.holds(other_slot)) return false;
  std::swap(offsets_[slot], other.offsets_[other_slot]);
  ring_.store_offset(slot, offsets_[slot]);
  other.ring_.store_offset(other_slot, other.offsets_[other_slot]);
  return true;
}

bool RawRx::place(std::size_t ahead, std::uint32_t offset) noexcept {
  if (link_changed()) refresh();
  if (!up() || !client_ || !link_->placed || ahead >= held() || !fits(*link_, offset)) return false;
  const auto index = static_cast<std::uint16_t>(released_ + ahead);
  offsets_[ring_.slot(index)] = offset;
  ring_.store_offset(index, offset);
  return true;
}

bool RawRx::trade(std::uint16_t slot, std::uint32_t& offset) noexcept {
  if (!up() || !client_ || slot >= ring_.size() || !holds(slot)) return false;
  const std::uint32_t traded = offsets_[slot], start = buffer_start(traded);
  offsets_[slot] = std::exchange(offset, start) + (traded - start);
  ring_.store_offset(slot, offsets_[slot]);
  return true;
}

bool RawTx::trade(std::size_t after, std::uint32_t& offset) noexcept {
  if (!up() || !client_ || find_free(after, 1) == 0) return false;
  std::swap(offsets_[slot(after)], offset);
  offsets_vary_ = true;
  return true;
}

bool RawTx::exchange(std::size_t after, RawTx& other, std::size_t other_after) noexcept {
  if (link_changed()) refresh();
  if (!shares_buffers_with(other)) return false;
  if (find_free(after, 1) == 0 || other.find_free(other_after, 1) == 0) return false;
  std::swap(offsets_[slot(after)], other.offsets_[other.slot(other_after)]);
  offsets_vary_ = other.offsets_vary_ = true;
  return true;
}

bool RawTx::place(std::size_t after, std::uint32_t offset) noexcept {
  if (link_changed()) refresh();
  if (!up() || !client_ || !link_->placed || find_free(after, 1) == 0 || !fits(*link_, offset)) return false;
  offsets_[slot(after)] = offset;
  offsets_vary_ = true;
  return true;
}

}  // namespace memif
