// A receive queue against a peer that writes what it likes into the ring, at any moment.
#include <deque>

#include "world.hpp"

namespace memif::fuzz {
namespace {

class Receiver {
 public:
  explicit Receiver(Input& input) : input_(input), world_(input) {}

  void run() {
    for (int steps = 0; steps < 64 && !input_.empty(); ++steps) {
      step();
      world_.check_tables();
    }
    // The input is used up: now the peer keeps its own pace.
    for (int i = 0; i < 4; ++i) {
      take(true);
      release(255);
    }
  }

 private:
  void step() {
    world_.begin_call();
    switch (input_.upto(12)) {
      case 0:
      case 1:
      case 2:
        return world_.disturb();
      case 3:
      case 4:
        return take(input_.byte() % 4 != 0);
      case 5:
        return receive();
      case 6:
        return release(input_.byte());
      case 7:
        if (!bursts_.empty()) bursts_.pop_front();
        return;
      case 8:
        static_cast<void>(world_.rx().arm());
        return;
      case 9:
        return world_.rx().disarm();
      case 10:
        return world_.rx().set_mode(static_cast<RxMode>(input_.upto(2)));
      case 11:
        static_cast<void>(world_.rx().wait(std::chrono::nanoseconds(0)));
        return;
      default:
        if (input_.byte() % 4 == 0) world_.relink(input_.byte() % 2 != 0);
    }
  }

  void check(std::byte* data, std::uint32_t length, std::uint32_t capacity) {
    world_.check_span(data, length, capacity);
    if (world_.client()) world_.check_buffer(data, capacity);
    std::memset(data, 0x5a, length);
  }

  struct Part {
    std::byte* data;
    std::uint32_t length, capacity, slot;
    bool more;
  };

  void take(bool drop) {
    const std::size_t max = input_.byte() % 40;
    std::array<Part, 40> parts{};
    RxQueue& rx = world_.rx();
    world_.begin_call();
    const auto taken = rx.take(
        max,
        [&](std::size_t i, std::byte* data, std::uint32_t length, std::uint32_t capacity, auto slot, bool more) {
          require(i < max, "no more buffers than asked for");
          check(data, length, capacity);
          require(slot < world_.ring_size(), "the slot is one of the ring");
          if (!world_.client()) world_.check_as_loaded(data, length, true, slot);
          parts[i] = {data, length, capacity, slot, more};
        },
        drop ? RxQueue::LongPackets::drop : RxQueue::LongPackets::split);
    require(taken.buffers <= max && taken.packets <= taken.buffers, "a burst is no larger than asked for");
    require(rx.held() <= world_.ring_size(), "no more is held than there are slots");
    std::size_t ends = 0;
    for (std::size_t i = 0; i < taken.buffers; ++i) {
      std::memset(parts[i].data, 0xa5, parts[i].capacity);
      require(rx.holds(static_cast<std::uint16_t>(parts[i].slot)), "what is handed out is held");
      ends += parts[i].more ? 0 : 1;
    }
    require(!drop || ends == taken.packets, "whole packets only");
  }

  void receive() {
    if (bursts_.size() == 4) bursts_.pop_front();
    auto& array = arrays_[turn_++ % arrays_.size()];
    RxBurst burst = world_.rx().receive(std::span(array).first(input_.byte() % array.size()));
    std::size_t packets = 0;
    for (const Packet packet : burst) {
      ++packets;
      for (const Buffer& buffer : packet.buffers()) check(buffer.data(), buffer.size(), buffer.capacity());
    }
    require(packets == burst.size(), "as many packets as the burst says");
    bursts_.push_back(std::move(burst));
  }

  void release(std::size_t count) {
    world_.begin_call();
    RxQueue& rx = world_.rx();
    const std::uint32_t headroom = input_.byte() % 4 == 0 ? input_.byte() : 0;
    const std::size_t released = rx.release(count, headroom);
    require(released <= count, "no more is given back than asked for");
  }

  Input& input_;
  World world_;
  std::array<std::array<Buffer, 40>, 4> arrays_{};
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
