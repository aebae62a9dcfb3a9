// A part of a packet, of which a capture may have kept the beginning only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "net/codec.hpp"

namespace memif::tool::decoding {

// Thrown where a decoder needs more bytes than there are.
struct PartEnded {
  bool cut;  // the packet had them, the capture has not
};

class Part {
 public:
  Part(View bytes, std::size_t total) noexcept : bytes_(bytes.first(std::min(bytes.size(), total))), total_(total) {}

  std::size_t size() const noexcept { return total_; }  // of the part in the packet
  View kept() const noexcept { return bytes_; }
  bool whole() const noexcept { return bytes_.size() == total_; }
  bool has(std::size_t size) const noexcept { return bytes_.size() >= size; }

  // The bytes from `at` on, or the first ones. All throw PartEnded.
  Part from(std::size_t at) const {
    if (at > total_) throw PartEnded{false};
    return {at < bytes_.size() ? bytes_.subspan(at) : View(), total_ - at};
  }
  Part first(std::size_t size) const {
    if (size > total_) throw PartEnded{false};
    return {bytes_, size};
  }
  View bytes(std::size_t at, std::size_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) throw PartEnded{at <= total_ && size <= total_ - at};
    return bytes_.subspan(at, size);
  }
  std::uint8_t u8(std::size_t at) const { return bytes(at, 1)[0]; }
  std::uint16_t u16(std::size_t at) const { return get16(bytes(at, 2), 0); }
  std::uint32_t u32(std::size_t at) const { return get32(bytes(at, 4), 0); }

 private:
  View bytes_;
  std::size_t total_;
};

}  // namespace memif::tool::decoding
