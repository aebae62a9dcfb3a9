// Transmit queues against a peer that writes what it likes into the rings, at any moment. Every byte that this side may
// write, it writes: it must lie in a buffer that was posted.
#include <vector>

#include "world.hpp"

namespace memif::fuzz {
namespace {

constexpr std::size_t most_buffers = 40;

// A buffer to be sent, as the application says.
struct Part {
  std::byte* data;
  std::uint32_t length;
  bool more;
};

// Sources for TxQueue::publish().
struct InPlace {
  const Part* parts;
  DescriptorWord word(std::size_t i) const { return DescriptorWord::of(parts[i].length, parts[i].more); }
};
struct Elsewhere : InPlace {
  std::byte* data(std::size_t i) const { return parts[i].data; }
};

class Sender {
 public:
  explicit Sender(Input& input) : input_(input), world_(input) {}

  void run() {
    for (int steps = 0; steps < 48 && !input_.empty(); ++steps) step();
    // The input is used up: now the peer keeps its own pace.
    for (int i = 0; i < 4; ++i) {
      TxQueue& tx = world_.tx();
      reserve(tx);
      publish(tx);
    }
    world_.check_tables();
  }

 private:
  void step() {
    begin_call();
    TxQueue& tx = world_.tx();
    switch (input_.upto(14)) {
      case 0:
      case 1:
      case 2:
        return world_.disturb();
      case 3:
      case 4:
        return reserve(tx);
      case 5:
        return publish(tx);
      case 6:
        return burst(tx);
      case 7: {
        const std::array<std::byte, 300> bytes{};
        static_cast<void>(tx.send_copy(std::span(bytes).first(input_.byte())));
        return;
      }
      case 8:
        return forward(tx);
      case 9:
        require(tx.room() <= world_.ring_size(), "no more room than slots");
        return;
      case 10: {
        // Which slots are held is the caller's to know: it took them.
        RxQueue& rx = world_.rx();
        const auto slot = static_cast<std::uint16_t>(input_.upto(world_.ring_size() - 1));
        if (rx.up() && rx.raw().holds(slot)) static_cast<void>(tx.raw().exchange(rx.raw(), slot, input_.upto(40)));
        return;
      }
      case 11: {
        TxQueue& other = world_.tx();
        const std::size_t after = input_.upto(40);
        static_cast<void>(tx.raw().exchange(after, other.raw(), input_.upto(40)));
        return;
      }
      case 12:
        static_cast<void>(tx.raw().place(input_.upto(40), input_.byte() * 64u + input_.byte() % 4));
        return;
      case 13:
        return hold(tx);
      default:
        if (input_.byte() % 4 == 0) world_.relink(input_.byte() % 2 != 0);
    }
  }

  // A packet over many small buffers is begun anew each time that the peer has posted one more.
  void begin_call(std::size_t packets = 1) {
    world_.begin_call(64 + packets * 4 * world_.ring_size() * world_.ring_size());
  }

  void check(TxQueue& tx, std::byte* data, std::uint32_t length, std::uint32_t capacity, std::uint32_t slot) {
    world_.check_span(data, length, capacity);
    world_.check_as_loaded(tx.raw(), data, capacity, slot);
    world_.fill(data, capacity);
  }

  void reserve(TxQueue& tx) {
    const std::size_t max = input_.byte() % most_buffers;
    const std::size_t after = input_.byte() % 4 == 1 ? input_.byte() % most_buffers : 0;
    const std::uint32_t size = input_.byte() % 8 == 1 ? input_.number<std::uint32_t>() : 2u * input_.byte();
    const std::size_t packets = 1 + input_.upto(39);
    std::array<std::uint32_t, most_buffers> slots{};
    parts_.assign(max, {});
    begin_call();
    const std::size_t shown = tx.raw().peek(
        packets, size, max, after,
        [&](std::size_t i, std::byte* data, DescriptorWord word, std::uint32_t capacity, std::size_t index) {
          const auto slot = static_cast<std::uint32_t>(index);
          require(i < max, "no more buffers than asked for");
          check(tx, data, word.length(), capacity, slot);
          parts_[i] = {data, word.length(), word.more()};
          slots[i] = slot;
        });
    require(shown <= max, "no more buffers than asked for");
    check_shown(tx, size, std::span(slots).first(shown), after);
    parts_.resize(after == 0 ? shown : 0);  // else they are not the next to be sent
  }

  void check_shown(TxQueue& tx, std::uint32_t size, std::span<const std::uint32_t> slots, std::size_t after) {
    if (slots.empty()) return;
    const auto free = static_cast<std::uint16_t>(limit_of(tx.raw()) - next_of(tx.raw()));
    require(free <= world_.ring_size() && after + slots.size() <= free, "only slots that are free are shown");
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      require(slots[i] == (next_of(tx.raw()) + after + i) % world_.ring_size(),
              "the slots shown are the next to be sent");
      length += parts_[i].length;
      if (parts_[i].more) continue;
      require(length == size, "packets are as long as asked for");
      length = 0;
    }
    require(length == 0, "whole packets are shown");
  }

  // What was shown, perhaps long ago and perhaps changed by a confused application.
  void publish(TxQueue& tx) {
    begin_call();
    const bool elsewhere = world_.client() && input_.byte() % 2 == 1;
    if (!parts_.empty() && input_.byte() % 8 == 1) {
      Part& part = parts_[input_.byte() % parts_.size()];
      part.length = input_.byte() % 2 == 0 ? input_.byte() : input_.number<std::uint32_t>();
      if (elsewhere) part.data += input_.byte();
    }
    const std::uint16_t before = next_of(tx.raw());
    const std::uint64_t packets = tx.counters().packets.get(), bytes = tx.counters().bytes.get();
    const InPlace source{parts_.data()};
    const auto published =
        elsewhere ? tx.raw().publish(parts_.size(), Elsewhere{source}) : tx.raw().publish(parts_.size(), source);
    require(published.buffers <= parts_.size() && published.packets <= published.buffers, "no more than was given");
    require(static_cast<std::uint16_t>(next_of(tx.raw()) - before) == published.buffers,
            "the index says what was published");
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < published.buffers; ++i) {
      // As a client: whatever a confused application asks for, what is sent lies in a buffer.
      if (elsewhere) world_.check_span(parts_[i].data, parts_[i].length, parts_[i].length);
      require(parts_[i].length != 0, "no empty part is sent");
      length += parts_[i].length;
    }
    require(tx.counters().packets.get() - packets == published.packets, "packets are counted");
    require(tx.counters().bytes.get() - bytes == length, "bytes are counted");
    parts_.clear();
  }

  // Parts of a packet whose end comes later, or never.
  void hold(TxQueue& tx) {
    begin_call();
    const std::size_t count = std::min<std::size_t>(input_.byte(), parts_.size());
    for (std::size_t i = 0; i < count; ++i) parts_[i].more = true;
    if (count != 0 && input_.byte() % 8 == 1) parts_[0].length = input_.number<std::uint32_t>();
    const std::size_t held = tx.raw().held();
    const std::uint16_t before = next_of(tx.raw());
    const std::uint64_t packets = tx.counters().packets.get();
    if (tx.raw().hold(count, InPlace{parts_.data()})) {
      require(tx.raw().held() == held + count && tx.raw().held() < world_.ring_size(),
              "a slot is left for the packet's end");
      require(static_cast<std::uint16_t>(next_of(tx.raw()) - before) == count,
              "what is held is not the next to be sent");
      parts_.erase(parts_.begin(), parts_.begin() + static_cast<std::ptrdiff_t>(count));
    } else {
      require(static_cast<std::uint16_t>(before - next_of(tx.raw())) <= held, "no more is given up than was held");
      parts_.clear();
    }
    require(tx.counters().packets.get() == packets, "what is held is no packet yet");
  }

  void burst(TxQueue& tx) {
    parts_.clear();
    TxBurst burst = tx.begin(std::span(buffers_).first(input_.byte() % buffers_.size()));
    for (std::uint32_t n = input_.upto(8); n != 0; --n) {
      begin_call();
      if (!burst.add(2u * input_.byte())) break;
      std::size_t at = burst.buffers().size() - burst.back().buffers().size();
      for (const Buffer& buffer : burst.back().buffers())
        check(tx, buffer.data(), buffer.size(), buffer.capacity(), tx.raw().slot(at++));
      if (input_.byte() % 4 == 1) burst.back().resize(input_.byte());
      if (input_.byte() % 16 == 1) {
        between_calls(tx, burst);
        break;
      }
    }
    if (input_.byte() % 4 == 1) world_.disturb();
    const std::size_t packets = burst.size();
    begin_call();
    require(burst.send() <= packets, "no more is sent than was prepared");
  }

  // The link goes, and some call or none takes the next one: then the burst has nothing, and takes nothing.
  void between_calls(TxQueue& tx, TxBurst& burst) {
    const std::uint32_t epoch = tx.raw().epoch();
    if (input_.byte() % 2 == 1) world_.relink(input_.byte() % 4 == 1);
    begin_call();
    switch (input_.upto(4)) {
      case 0:
        static_cast<void>(tx.room());
        break;
      case 1:
        static_cast<void>(tx.up());
        break;
      case 2:
        static_cast<void>(tx.send_copy(std::array<std::byte, 60>{}));
        break;
      case 3:
        static_cast<void>(tx.allocate(std::span(buffers_).first(0), 1));
        break;
      default:
        return;  // still the former link's, whose memory the queue keeps
    }
    if (tx.raw().epoch() == epoch) return;
    begin_call();
    require(!burst.add(64) && burst.empty() && burst.buffers().empty(), "a burst of a former link has nothing");
    require(burst.back().data() == nullptr && burst.begin() == burst.end(), "nor shows any of it");
  }

  void forward(TxQueue& tx) {
    parts_.clear();
    std::array<Buffer, 16> array;
    RxBurst received = world_.rx().receive(array);
    const std::size_t packets = received.size();
    std::size_t bytes = 0;
    for (const Packet packet : received) bytes += packet.size();
    if (bytes > 1 << 16) return;  // copying takes the time that it takes
    std::size_t sent = 0;
    for (std::uint32_t n = 1 + input_.upto(2); n != 0; --n) {
      begin_call(4 * packets);  // each is copied by itself, into another burst if the first has no room
      const std::size_t before = received.size(), now = tx.forward(received);
      require(received.empty() || received.size() + now <= before, "what is forwarded is taken out of the burst");
      sent += now;
    }
    require(sent <= packets, "no more is forwarded than was received");
  }

  Input& input_;
  World world_;
  std::vector<Part> parts_;
  std::array<Buffer, most_buffers> buffers_{};
};

}  // namespace
}  // namespace memif::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  memif::fuzz::Input input(data, size);
  memif::fuzz::Sender(input).run();
  return 0;
}
