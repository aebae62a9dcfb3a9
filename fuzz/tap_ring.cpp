// A ring looked at by a third process, while its two ends write what they like into it, at any moment.
#include "observe/tap_ring.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include <memif/detail/wire.hpp>

#include "input.hpp"

namespace memif::fuzz {
namespace {

constexpr std::size_t region_size = 8192, buffers_at = 2048;

// Two regions, of which the second cannot be read to its end. Each read may be followed by a change.
class Memory final : public detail::TapSource {
 public:
  Memory(Input& input, std::uint32_t ring_size) : input_(input), ring_size_(ring_size) {
    header().cookie = wire::ring_cookie;
    for (std::uint32_t i = 0; i != ring_size; ++i) {
      descriptor(i).offset = static_cast<std::uint32_t>(buffers_at + i * 64);
      descriptor(i).word0 = DescriptorWord::of(64).value;
    }
  }

  bool read(std::uint16_t region, std::uint64_t offset, void* to, std::size_t length) override {
    require(region < 2 && length <= size(region) && offset <= size(region) - length, "a read within the region");
    require(++reads_ < 20'000, "a look ends");
    const bool there = region == 0 || offset + length <= region_size / 2;
    if (there) std::memcpy(to, bytes_.data() + offset, length);
    if (!input_.empty() && input_.byte() % 4 == 0) change();
    return there;
  }
  std::uint64_t size(std::uint16_t region) override { return region < 2 ? region_size : 0; }
  std::optional<std::uint64_t> counted() override {
    if (input_.byte() % 4 == 0) return std::nullopt;
    return input_.byte() % 4 == 0 ? input_.number<std::uint64_t>() : count_++;
  }

  void begin_look() { reads_ = 0; }

  void change() {
    switch (input_.upto(5)) {
      case 0:
        header().head = static_cast<std::uint16_t>(header().head + input_.upto(ring_size_));
        return;
      case 1:
        header().tail = static_cast<std::uint16_t>(header().tail + input_.upto(ring_size_));
        return;
      case 2:
        descriptor(input_.byte()).word0 = input_.number<std::uint64_t>();
        return;
      case 3:
        descriptor(input_.byte()).word0 =
            DescriptorWord::of(input_.byte(), input_.byte() % 2 != 0, input_.byte() % 3).value;
        return;
      case 4:
        descriptor(input_.byte()).offset = input_.byte() % 2 != 0 ? input_.number<std::uint32_t>() : input_.byte() * 64;
        return;
      default: {
        const std::size_t at = input_.number<std::uint16_t>() % region_size;
        const auto bytes = input_.bytes(input_.byte());
        std::memcpy(bytes_.data() + at, bytes.data(), std::min(bytes.size(), region_size - at));
      }
    }
  }

 private:
  wire::RingHeader& header() { return *reinterpret_cast<wire::RingHeader*>(bytes_.data()); }
  wire::Descriptor& descriptor(std::size_t index) {
    return reinterpret_cast<wire::Descriptor*>(&header() + 1)[index % ring_size_];
  }

  Input& input_;
  std::uint32_t ring_size_;
  alignas(64) std::array<std::byte, region_size> bytes_{};
  std::uint64_t count_ = 0;
  int reads_ = 0;
};

void look_on(Input& input) {
  const std::uint32_t ring_size = 1u << (1 + input.upto(5));
  const std::uint8_t how = input.byte();
  const std::size_t keep = input.byte();
  Memory memory(input, ring_size);
  detail::TapRing ring({.ring_size = ring_size, .to_server = (how & 1) != 0, .stays = (how & 2) != 0},
                       static_cast<Mode>(how / 4 % 3), keep, (how & 16) != 0);
  for (int looks = 0; looks != 16 && !input.empty(); ++looks) {
    memory.begin_look();
    std::uint64_t packets = 0;
    const std::uint64_t before = ring.counts().packets;
    ring.look(memory, [&](std::span<const std::byte> kept, std::uint64_t size) {
      ++packets;
      require(kept.size() <= keep && kept.size() <= size, "no more is kept than wanted");
      require(kept.size() == std::min<std::uint64_t>(keep, size), "all that is wanted is kept");
    });
    require(ring.counts().packets - before == packets, "packets are counted");
    require(packets <= ring_size, "no more than a ring full");
    memory.change();
  }
}

}  // namespace
}  // namespace memif::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  memif::fuzz::Input input(data, size);
  memif::fuzz::look_on(input);
  return 0;
}
