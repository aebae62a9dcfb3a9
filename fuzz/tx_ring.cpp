// A transmit queue against a peer that writes what it likes into the ring, at any moment. Every byte that this side may
// write, it writes: it must lie in a buffer that was posted.
#include <vector>

#include "world.hpp"

namespace memif::fuzz {
namespace {

// A buffer to be sent, as the application says.
struct Part {
  std::byte* data;
  std::uint32_t length;
  bool more;
};

// Sources for TxQueue::publish().
struct Unmoved {
  const Part* parts;
  std::uint32_t length(std::size_t i) const { return parts[i].length; }
  std::uint32_t more(std::size_t i) const { return parts[i].more ? 1 : 0; }
};
struct Moved : Unmoved {
  std::byte* data(std::size_t i) const { return parts[i].data; }
};

class Sender {
 public:
  explicit Sender(Input& input) : input_(input), world_(input) {}

  void run() {
    for (int steps = 0; steps < 64 && !input_.empty(); ++steps) {
      step();
      world_.check_tables();
    }
    for (int i = 0; i < 4; ++i) {
      reserve();
      publish();
    }
  }

 private:
  void step() {
    world_.begin_call();
    switch (input_.upto(11)) {
      case 0:
      case 1:
      case 2:
        return world_.disturb();
      case 3:
      case 4:
        return reserve();
      case 5:
        return publish();
      case 6:
        return burst();
      case 7: {
        const std::array<std::byte, 300> bytes{};
        static_cast<void>(world_.tx().send_copy(std::span(bytes).first(input_.byte())));
        return;
      }
      case 8:
        return forward();
      case 9:
        require(world_.tx().room() <= world_.ring_size(), "no more room than slots");
        return;
      case 10: {
        // Which slots are held is the caller's to know: it took them.
        const auto slot = static_cast<std::uint16_t>(input_.upto(world_.ring_size() - 1));
        if (world_.rx().up() && world_.rx().holds(slot))
          static_cast<void>(world_.tx().exchange(world_.rx(), slot, input_.upto(40)));
        return;
      }
      default:
        if (input_.byte() % 4 == 0) world_.relink(input_.byte() % 2 != 0);
    }
  }

  void check(std::byte* data, std::uint32_t length, std::uint32_t capacity, std::uint32_t slot) {
    world_.check_span(data, length, capacity);
    if (world_.client())
      world_.check_buffer(data, capacity);
    else
      world_.check_as_loaded(data, capacity, false, slot);
    std::memset(data, 0x5a, capacity);
  }

  void reserve() {
    TxQueue& tx = world_.tx();
    const std::size_t max = input_.byte() % 40;
    const std::size_t after = input_.byte() % 4 == 0 ? input_.byte() % 40 : 0;
    const std::uint32_t size = input_.byte() % 4 == 0 ? input_.number<std::uint32_t>() : input_.byte();
    std::array<std::uint32_t, 40> slots{};
    parts_.assign(max, {});
    world_.begin_call();
    const std::size_t shown = tx.reserve(
        1 + input_.byte() % 40, size, max, after,
        [&](std::size_t i, std::byte* data, std::uint32_t length, std::uint32_t capacity, auto slot, bool more) {
          require(i < max, "no more buffers than asked for");
          check(data, length, capacity, slot);
          parts_[i] = {data, length, more};
          slots[i] = slot;
        });
    require(shown <= max, "no more buffers than asked for");
    parts_.resize(shown);
    if (after != 0) parts_.clear();  // not the next ones to be sent
    if (shown == 0) return;
    const auto free = static_cast<std::uint16_t>(limit_of(tx) - next_of(tx));
    require(free <= world_.ring_size() && after + shown <= free, "only slots that are free are shown");
    for (std::size_t i = 0; i < shown; ++i)
      require(slots[i] == (next_of(tx) + after + i) % world_.ring_size(), "the slots shown are the next to be sent");
  }

  // What was shown, perhaps long ago and perhaps changed by a confused application.
  void publish() {
    TxQueue& tx = world_.tx();
    world_.begin_call();
    const bool move = world_.client() && input_.byte() % 2 == 0;
    if (!parts_.empty() && input_.byte() % 8 == 0) {
      Part& part = parts_[input_.byte() % parts_.size()];
      part.length = input_.byte() % 2 == 0 ? input_.byte() : input_.number<std::uint32_t>();
      if (move) part.data += input_.byte();
    }
    const std::uint16_t before = next_of(tx);
    const Unmoved source{parts_.data()};
    const auto published = move ? tx.publish(parts_.size(), Moved{source}) : tx.publish(parts_.size(), source);
    require(published.buffers <= parts_.size() && published.packets <= published.buffers, "no more than was given");
    require(static_cast<std::uint16_t>(next_of(tx) - before) == published.buffers, "the index says what was published");
    if (move) check_published(published.buffers);
    parts_.clear();
  }

  // As a client: whatever a confused application asks for, what is sent lies in a buffer.
  void check_published(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const Part& part = parts_[i];
      require(part.length != 0, "no empty part is sent");
      world_.check_span(part.data, part.length, part.length);
      world_.check_buffer(part.data, part.length);
    }
  }

  void burst() {
    parts_.clear();
    TxBurst burst = world_.tx().begin(std::span(buffers_).first(input_.byte() % buffers_.size()));
    for (std::uint32_t n = input_.upto(8); n != 0; --n) {
      world_.begin_call();
      if (!burst.add(input_.byte())) break;
      std::size_t at = burst.buffers().size() - burst.back().buffers().size();
      for (const Buffer& buffer : burst.back().buffers())
        check(buffer.data(), buffer.size(), buffer.capacity(), world_.tx().slot(at++));
      if (input_.byte() % 4 == 0) burst.back().resize(input_.byte());
    }
    if (input_.byte() % 4 == 0) world_.disturb();
    const std::size_t packets = burst.size();
    world_.begin_call();
    require(burst.send() <= packets, "no more is sent than was prepared");
  }

  void forward() {
    parts_.clear();
    std::array<Buffer, 16> array;
    RxBurst received = world_.rx().receive(array);
    const std::size_t packets = received.size();
    world_.begin_call();
    require(world_.tx().forward(received) <= packets, "no more is forwarded than was received");
  }

  Input& input_;
  World world_;
  std::vector<Part> parts_;
  std::array<Buffer, 40> buffers_{};
};

}  // namespace
}  // namespace memif::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  memif::fuzz::Input input(data, size);
  memif::fuzz::Sender(input).run();
  return 0;
}
