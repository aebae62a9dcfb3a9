// Packets that a program keeps: from a receive queue, with the pool's buffers.
#include <array>
#include <new>

#include <memif/rx_queue.hpp>

#include "memory/pool_memory.hpp"

namespace memif {

KeptPacket::KeptPacket(KeptPacket&& other) noexcept
    : pool_(std::move(other.pool_)), buffers_(std::move(other.buffers_)), count_(std::exchange(other.count_, 0)) {}

KeptPacket& KeptPacket::operator=(KeptPacket&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  pool_ = std::move(other.pool_);
  buffers_ = std::move(other.buffers_);
  count_ = std::exchange(other.count_, 0);
  return *this;
}

void KeptPacket::give_back() noexcept {
  std::array<std::uint32_t, max_buffers> offsets;
  for (std::size_t i = 0; i < count_; ++i) offsets[i] = pool_->memory().start_of(buffers_[i].data());
  if (count_ != 0) pool_->memory().give_back_kept(std::span(offsets).first(std::exchange(count_, 0)));
}

KeptPacket RxQueue::keep(const Packet& packet) noexcept {
  const std::span<Buffer> buffers = packet.buffers();
  std::shared_ptr<Pool> pool = raw_.pool();
  if (pool == nullptr || buffers.size() > KeptPacket::max_buffers) return {};
  KeptPacket kept;
  kept.buffers_.reset(new (std::nothrow) Buffer[buffers.size()]);
  std::array<std::uint32_t, KeptPacket::max_buffers> offsets;
  const auto fresh = std::span(offsets).first(buffers.size());
  if (kept.buffers_ == nullptr || !pool->memory().take_to_keep(fresh)) return {};
  // A buffer of another link, or one that was kept already, is not where its slot says.
  const bool held =
      std::all_of(buffers.begin(), buffers.end(), [&](const Buffer& one) { return raw_.has(one.slot(), one.data()); });
  if (!held) {
    pool->memory().give_back_kept(fresh);
    return {};
  }
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    raw_.trade(buffers[i].slot(), fresh[i]);
    kept.buffers_[i] = buffers[i];
  }
  kept.count_ = buffers.size();
  kept.pool_ = std::move(pool);
  return kept;
}

}  // namespace memif
