// Receive queues against a peer that writes what it likes into the rings, at any moment.
#include <deque>

#include "world.hpp"

namespace memif::fuzz {
namespace {

constexpr std::size_t most_buffers = 40;

class Receiver {
 public:
  explicit Receiver(Input& input) : input_(input), world_(input) {}

  void run() {
    for (int steps = 0; steps < 48 && !input_.empty(); ++steps) step();
    // The input is used up: now the peer keeps its own pace.
    for (int i = 0; i < 4; ++i) {
      RxQueue& rx = world_.rx();
      take(rx, i % 2 == 0 ? RawRx::LongPackets::drop : RawRx::LongPackets::split);
      release(rx, 255, 0);
    }
    world_.check_tables();
  }

 private:
  void step() {
    begin_call();
    RxQueue& rx = world_.rx();
    switch (input_.upto(15)) {
      case 0:
      case 1:
      case 2:
        return world_.disturb();
      case 3:
      case 4:
      case 5:
        return take(rx, input_.byte() % 4 != 0 ? RawRx::LongPackets::drop : RawRx::LongPackets::split);
      case 6:
        return receive(rx);
      case 7: {
        const std::size_t count = input_.byte();
        return release(rx, count, input_.byte() % 4 == 0 ? input_.byte() : 0);
      }
      case 8:
        if (!bursts_.empty()) bursts_.pop_front();
        return;
      case 9:
        static_cast<void>(rx.arm());
        return rx.disarm();
      case 10:
        return rx.set_mode(static_cast<RxMode>(input_.upto(2)));
      case 11:
        require(rx.wait(std::chrono::nanoseconds(0)) || rx.raw().held() <= world_.ring_size(),
                "a wait of no time ends");
        return;
      case 12:
        return rx.raw().remind();
      case 13: {
        RxQueue& other = world_.rx();
        const auto slot = static_cast<std::uint16_t>(input_.byte() % 48);
        const auto other_slot = static_cast<std::uint16_t>(input_.byte() % 48);
        if (rx.raw().exchange(slot, other.raw(), other_slot))
          require(rx.raw().holds(slot) && other.raw().holds(other_slot), "only what is held is exchanged");
        return;
      }
      case 14:
        static_cast<void>(rx.raw().place(input_.upto(40), place()));
        return;
      default:
        if (input_.byte() % 4 == 0) world_.relink(input_.byte() % 2 != 0);
    }
  }

  // Per call: a look at each slot, one more where a burst leaves its fast path, and one at the index after each packet.
  void begin_call() { world_.begin_call(16 + std::size_t{8} * world_.ring_size()); }

  // Somewhere in the buffers' region, often at its end.
  std::uint32_t place() {
    const std::uint8_t kind = input_.byte();
    if (kind % 4 == 3) return input_.number<std::uint32_t>();
    if (kind % 4 == 2) return static_cast<std::uint32_t>(world_.buffers_size() - world_.buffer_size() - input_.upto(2));
    return input_.byte() * 64u;
  }

  void check(RxQueue& rx, std::byte* data, std::uint32_t length, std::uint32_t capacity, std::uint32_t slot) {
    world_.check_span(data, length, capacity);
    world_.check_as_loaded(rx.raw(), data, length, slot);
    world_.fill(data, length);
  }

  struct Part {
    std::byte* data;
    std::uint32_t length, capacity, slot;
    bool more;
  };

  void take(RxQueue& rx, RawRx::LongPackets policy) {
    const std::size_t max = input_.byte() % most_buffers;
    std::array<Part, most_buffers> parts{};
    begin_call();
    const std::uint64_t packets = rx.counters().packets.get(), bytes = rx.counters().bytes.get();
    const auto taken = rx.raw().take(
        max,
        [&](std::size_t i, std::byte* data, DescriptorWord word, std::uint32_t capacity, std::size_t index) {
          const auto slot = static_cast<std::uint32_t>(index);
          require(i < max, "no more buffers than asked for");
          check(rx, data, word.length(), capacity, slot);
          parts[i] = {data, word.length(), capacity, slot, word.more()};
        },
        policy);
    require(taken.buffers <= max && taken.packets <= taken.buffers, "a burst is no larger than asked for");
    require(rx.raw().held() <= world_.ring_size(), "no more is held than there are slots");
    std::size_t ends = 0;
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < taken.buffers; ++i) {
      world_.fill(parts[i].data, parts[i].capacity);
      require(rx.raw().holds(static_cast<std::uint16_t>(parts[i].slot)), "what is handed out is held");
      ends += parts[i].more ? 0 : 1;
      length += parts[i].length;
    }
    require(policy == RawRx::LongPackets::split || ends == taken.packets, "whole packets only");
    require(rx.counters().packets.get() - packets == taken.packets, "packets are counted");
    require(rx.counters().bytes.get() - bytes == length, "bytes are counted");
  }

  void receive(RxQueue& rx) {
    if (bursts_.size() == arrays_.size()) bursts_.pop_front();
    auto& array = arrays_[turn_++ % arrays_.size()];
    begin_call();
    RxBurst burst = rx.receive(std::span(array).first(input_.byte() % array.size()));
    std::size_t packets = 0;
    for (const Packet packet : burst) {
      ++packets;
      for (const Buffer& buffer : packet.buffers()) {
        world_.check_span(buffer.data(), buffer.size(), buffer.capacity());
        world_.fill(buffer.data(), buffer.size());
      }
    }
    require(packets == burst.size(), "as many packets as the burst says");
    // A burst of a former link, whatever call took the present one, has nothing.
    for (RxBurst& earlier : bursts_)
      for (const Buffer& buffer : earlier.buffers()) world_.check_span(buffer.data(), buffer.size(), buffer.capacity());
    bursts_.push_back(std::move(burst));
  }

  void release(RxQueue& rx, std::size_t count, std::uint32_t headroom) {
    begin_call();
    require(rx.raw().release(count, headroom) <= count, "no more is given back than asked for");
  }

  Input& input_;
  World world_;
  std::array<std::array<Buffer, most_buffers>, 3> arrays_{};
  std::size_t turn_ = 0;
  std::deque<RxBurst> bursts_;
};

}  // namespace
}  // namespace memif::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  memif::fuzz::Input input(data, size);
  memif::fuzz::Receiver(input).run();
  return 0;
}
