// What a pool is inside: its memory, and which of its buffers nobody has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include <memif/pool.hpp>

#include "memory/region.hpp"

namespace memif {

class Pool::Memory {
 public:
  Memory(Region region, const PoolConfig& config, std::uint32_t stride, bool huge_pages);

  // Offsets of buffers, one for each element. False, and none is taken, if there are too few.
  bool take(std::span<std::uint32_t> offsets) noexcept;
  // Those of a table: an offset may point anywhere into its buffer.
  void give_back(std::span<const std::uint32_t> offsets) noexcept;

  // The same for packets that the program keeps, of which there is a limit.
  bool take_to_keep(std::span<std::uint32_t> offsets) noexcept;
  void give_back_kept(std::span<const std::uint32_t> offsets) noexcept;

  // Where the buffer begins that has this byte.
  std::uint32_t start_of(const std::byte* data) const noexcept {
    return static_cast<std::uint32_t>(data - region_.data()) / stride_ * stride_;
  }

  // A link's view of the memory, which neither unmaps nor closes anything. The pool must outlive it.
  Result<Region> lend() const;

  std::uint32_t buffer_size() const noexcept { return buffer_size_; }
  std::uint32_t stride() const noexcept { return stride_; }
  std::size_t buffers() const noexcept { return buffers_; }
  std::size_t free() const noexcept;
  bool huge_pages() const noexcept { return huge_pages_; }

 private:
  const Region region_;
  const std::uint32_t buffer_size_, stride_;
  const std::size_t buffers_, max_kept_;
  const bool huge_pages_;
  std::shared_ptr<const MemoryHooks> lending_;
  bool take_locked(std::span<std::uint32_t> offsets) noexcept;
  void give_back_locked(std::span<const std::uint32_t> offsets) noexcept;

  mutable std::mutex mutex_;
  std::size_t kept_ = 0;
  std::vector<std::uint32_t> free_;  // offsets; the last is taken first, since its lines are the likeliest to be near
};

}  // namespace memif
