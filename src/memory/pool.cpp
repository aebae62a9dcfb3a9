#include <cstring>
#include <string>

#include <memif/pool.hpp>

#include "memory/layout.hpp"
#include "memory/pool_memory.hpp"

namespace memif {

Pool::Memory::Memory(Region region, const PoolConfig& config, std::uint32_t stride, bool huge_pages)
    : region_(std::move(region)),
      buffer_size_(config.buffer_size),
      stride_(stride),
      buffers_(config.buffers),
      max_kept_(config.max_kept),
      huge_pages_(huge_pages),
      lending_(std::make_shared<MemoryHooks>(MemoryHooks{.provide = [this](std::uint64_t) {
        return MemoryHooks::Mapped{region_.data(), region_.fd()};
      }})) {
  free_.reserve(buffers_);
  for (std::size_t i = buffers_; i != 0; --i) free_.push_back(static_cast<std::uint32_t>((i - 1) * stride));
}

bool Pool::Memory::take_locked(std::span<std::uint32_t> offsets) noexcept {
  if (free_.size() < offsets.size()) return false;
  for (std::uint32_t& offset : offsets) {
    offset = free_.back();
    free_.pop_back();
  }
  return true;
}

void Pool::Memory::give_back_locked(std::span<const std::uint32_t> offsets) noexcept {
  for (const std::uint32_t offset : offsets) free_.push_back(offset / stride_ * stride_);  // within what is reserved
}

bool Pool::Memory::take(std::span<std::uint32_t> offsets) noexcept {
  const std::lock_guard lock(mutex_);
  return take_locked(offsets);
}

void Pool::Memory::give_back(std::span<const std::uint32_t> offsets) noexcept {
  const std::lock_guard lock(mutex_);
  give_back_locked(offsets);
}

bool Pool::Memory::take_to_keep(std::span<std::uint32_t> offsets) noexcept {
  const std::lock_guard lock(mutex_);
  if (offsets.size() > max_kept_ - kept_ || !take_locked(offsets)) return false;
  kept_ += offsets.size();
  return true;
}

void Pool::Memory::give_back_kept(std::span<const std::uint32_t> offsets) noexcept {
  const std::lock_guard lock(mutex_);
  give_back_locked(offsets);
  kept_ -= offsets.size();
}

Result<Region> Pool::Memory::lend() const { return Region::provided(lending_, region_.size()); }

std::size_t Pool::Memory::free() const noexcept {
  const std::lock_guard lock(mutex_);
  return free_.size();
}

Pool::Pool(std::unique_ptr<Memory> memory) noexcept : memory_(std::move(memory)) {}
Pool::~Pool() = default;

Result<std::shared_ptr<Pool>> Pool::create(const PoolConfig& config) {
  const auto invalid = [](const char* field, std::uint64_t value, const std::string& rule) {
    return Error{Errc::invalid_config, std::string(field) + " " + std::to_string(value) + ": must be " + rule};
  };
  if (config.buffer_size < 1 || config.buffer_size > detail::max_buffer_size)
    return invalid("buffer_size", config.buffer_size, "from 1 to 1048576");
  const std::uint32_t stride = detail::spread_stride(config.buffer_size);
  const std::uint64_t most = detail::offset_limit / stride;
  if (config.buffers < 1 || config.buffers > most)
    return invalid("buffers", config.buffers, "from 1 to " + std::to_string(most));
  bool small_pages = false;
  Result<Region> region = Region::create("memif-pool", std::uint64_t{config.buffers} * stride,
                                         {.huge_pages = config.huge_pages, .prefault = config.prefault}, small_pages);
  if (!region) return region.error();
  return std::make_shared<Pool>(
      std::make_unique<Memory>(std::move(*region), config, stride, config.huge_pages && !small_pages));
}

std::size_t Pool::buffers_for(const InterfaceConfig& config) noexcept {
  return (std::size_t{config.rx_queues} + config.tx_queues) * config.ring_size;
}

std::uint32_t Pool::buffer_size() const noexcept { return memory_->buffer_size(); }
std::size_t Pool::buffers() const noexcept { return memory_->buffers(); }
std::size_t Pool::free() const noexcept { return memory_->free(); }
bool Pool::huge_pages() const noexcept { return memory_->huge_pages(); }

}  // namespace memif
