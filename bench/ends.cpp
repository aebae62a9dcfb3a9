// Which end holds a link: the throughput of 64-byte packets with a bare sender, a bare receiver, or both, in the
// library's place on the library's own rings. A bare end believes everything and moves what the limit probe's two-pass
// variant moves. One JSON object a line.
//   ends [ROUNDS [MILLISECONDS]]
#include <cstdio>
#include <cstdlib>

#include "library_end.hpp"
#include "limit_probe.hpp"

namespace {

using namespace bench;

constexpr std::uint16_t burst = 32;

// One end of a ring.
struct alignas(128) BareEnd {
  memif::wire::RingHeader* header;
  Slot* slots;
  std::byte* region;                // in which the buffers are
  std::vector<std::byte*> buffers;  // as a client knows them
  std::uint64_t tag;                // region and flags
  std::uint16_t next = 0, limit = 0;

  BareEnd(const memif::Interface& interface, bool transmits) {
    const memif::InterfaceInfo info = interface.info();
    const memif::RingInfo& ring = (transmits ? info.tx : info.rx).at(0);
    header = reinterpret_cast<memif::wire::RingHeader*>(static_cast<std::byte*>(info.regions.at(ring.region).address) +
                                                        ring.offset);
    slots = reinterpret_cast<Slot*>(header + 1);
    tag = static_cast<std::uint32_t>(slots[0].word0);
    region = static_cast<std::byte*>(info.regions.at(tag >> 16).address);
    for (std::size_t i = 0; i < ring.ring_size; ++i) buffers.push_back(region + slots[i].offset);
  }
  std::uint16_t slot(std::uint16_t index) const { return index & static_cast<std::uint16_t>(buffers.size() - 1); }
};

std::uint16_t load(std::uint16_t& index) { return std::atomic_ref(index).load(std::memory_order_acquire); }
void store(std::uint16_t& index, std::uint16_t value) {
  std::atomic_ref(index).store(value, std::memory_order_release);
}

template <bool to_server>
void send(BareEnd& end) {
  if (static_cast<std::uint16_t>(end.limit - end.next) < burst)
    end.limit =
        static_cast<std::uint16_t>(to_server ? load(end.header->tail) + end.buffers.size() : load(end.header->head));
  const std::uint16_t count = std::min(static_cast<std::uint16_t>(end.limit - end.next), burst);
  if (count == 0) return bench::pause();
  const auto until = static_cast<std::uint16_t>(end.next + count);
  for (std::uint16_t i = end.next; i != until; ++i) {
    std::byte* const data = to_server ? end.buffers[end.slot(i)] : end.region + end.slots[end.slot(i)].offset;
    produce(data, 8, Touch::lines, i, nullptr);
  }
  for (std::uint16_t i = end.next; i != until; ++i) {
    std::atomic_ref word(end.slots[end.slot(i)].word0);
    const std::uint64_t wanted = std::uint64_t{64} << 32 | end.tag;
    if (word.load(std::memory_order_relaxed) != wanted) word.store(wanted, std::memory_order_relaxed);
  }
  end.next = until;
  store(to_server ? end.header->head : end.header->tail, until);
}

template <bool to_server>
std::size_t receive(BareEnd& end, std::uint64_t posted) {
  if (end.next == end.limit) end.limit = load(to_server ? end.header->head : end.header->tail);
  const std::uint16_t count = std::min(static_cast<std::uint16_t>(end.limit - end.next), burst);
  if (count == 0) {
    bench::pause();
    return 0;
  }
  const auto until = static_cast<std::uint16_t>(end.next + count);
  std::uint64_t sum = 0;
  for (std::uint16_t i = end.next; i != until; ++i) {
    std::atomic_ref word(end.slots[end.slot(i)].word0);
    sum += word.load(std::memory_order_relaxed) >> 32;
    sum += consume(end.buffers[end.slot(i)], 8, Touch::lines, nullptr);
    if (!to_server) word.store(posted, std::memory_order_relaxed);
  }
  keep(sum);
  end.next = until;
  store(to_server ? end.header->tail : end.header->head,
        static_cast<std::uint16_t>(to_server ? until : until + end.buffers.size()));
  return count;
}

template <bool to_server>
double run(bool bare_sender, bool bare_receiver, std::chrono::milliseconds time) {
  Library library({.shape = {.to_server = to_server}});
  memif::Interface& from = to_server ? library.client() : library.server();
  memif::Interface& to = to_server ? library.server() : library.client();
  while (!library.tx().up() || !library.rx().up()) {
  }
  BareEnd sender(from, true), receiver(to, false);
  const std::uint64_t posted = receiver.slots[0].word0;
  const auto measured = [time](auto sends, auto receives) { return measure(time, sends, receives); };
  const auto library_sends = [&] { library.send<Touch::lines, true>(); };
  const auto library_receives = [&] { return library.receive<Touch::lines, true>(); };
  const auto bare_sends = [&] { send<to_server>(sender); };
  const auto bare_receives = [&] { return receive<to_server>(receiver, posted); };
  if (bare_sender) return bare_receiver ? measured(bare_sends, bare_receives) : measured(bare_sends, library_receives);
  return bare_receiver ? measured(library_sends, bare_receives) : measured(library_sends, library_receives);
}

template <bool to_server>
void compare(int rounds, std::chrono::milliseconds time) {
  std::array<std::vector<double>, 4> rates;
  for (int round = 0; round < rounds; ++round)
    for (std::size_t kind = 0; kind < 4; ++kind)
      rates[kind].push_back(run<to_server>((kind & 1) != 0, (kind & 2) != 0, time) / 1e6);
  std::printf(
      "{\"bench\": \"ends\", \"direction\": \"%s\", \"library_mpps\": %.2f, \"bare_sender_mpps\": %.2f, "
      "\"bare_receiver_mpps\": %.2f, \"bare_mpps\": %.2f}\n",
      Traffic{.shape = {.to_server = to_server}}.direction(), median(rates[0]), median(rates[1]), median(rates[2]),
      median(rates[3]));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
  const auto time = std::chrono::milliseconds(argc > 2 ? std::atoi(argv[2]) : 20);
  compare<true>(rounds, time);
  compare<false>(rounds, time);
}
