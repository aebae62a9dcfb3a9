// Memory that plays a region.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace memif::fuzz {

// Of an exact size, a multiple of 64 bytes, which AddressSanitizer guards on both sides.
class Memory {
 public:
  explicit Memory(std::size_t size);
  Memory(Memory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  Memory& operator=(Memory&&) = delete;
  ~Memory();

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::byte* data_;
  std::size_t size_;
};

// A region of 8 GiB, in which no descriptor is out of bounds and sums of 32 bits wrap round. It is the same MiB over
// and over, so that it costs nothing to write to it.
inline constexpr std::uint64_t huge_size = std::uint64_t{8} << 30;
std::byte* huge_region();

}  // namespace memif::fuzz
