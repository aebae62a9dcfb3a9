// The rings of a connected interface as bytes, for tests that write to them as a hostile process would.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <memif/memif.hpp>

namespace memif::test {

struct RawDescriptorAt {
  std::uint16_t flags, region;
  std::uint32_t length, offset, metadata;
};

class RawRing {
 public:
  RawRing(const Interface& interface, bool transmit) {
    const InterfaceInfo info = interface.info();
    const RingInfo& ring = transmit ? info.tx.at(0) : info.rx.at(0);
    size_ = ring.ring_size;
    at_ = static_cast<std::byte*>(info.regions.at(ring.region).address) + ring.offset;
  }
  std::uint16_t head() const { return index(offsetof(wire::RingHeader, head)); }
  std::uint16_t tail() const { return index(offsetof(wire::RingHeader, tail)); }
  void set_index(bool head, std::uint16_t value) {
    std::memcpy(at_ + (head ? offsetof(wire::RingHeader, head) : offsetof(wire::RingHeader, tail)), &value,
                sizeof value);
  }
  RawDescriptorAt& descriptor(std::size_t i) {
    return reinterpret_cast<RawDescriptorAt*>(at_ + sizeof(wire::RingHeader))[i & (size_ - 1)];
  }
  std::size_t size() const { return size_; }

 private:
  std::uint16_t index(std::size_t offset) const {
    std::uint16_t value;
    std::memcpy(&value, at_ + offset, sizeof value);
    return value;
  }
  std::byte* at_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace memif::test
