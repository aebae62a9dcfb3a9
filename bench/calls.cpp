// What the calls alone cost: both ends are in one thread, so that all lines are in its cache, and nobody touches the
// packets. Names are CALL/DIRECTION/API/BURST; a burst of 0 is a call that comes back with nothing, a receive without
// packets or an allocate without room. An item is a packet, such a call, or a control message. Options are those of
// Google Benchmark.
#include <array>
#include <benchmark/benchmark.h>
#include <cstdint>
#include <span>
#include <string>

#include "capi_end.hpp"
#include "library_end.hpp"
#include "protocol/message.hpp"

namespace {

namespace message = memif::message;
using bench::Clock;

constexpr std::size_t batch = 512;  // packets between two looks at the clock, half a ring

// The C++ API, as CApi has the C API.
class Cpp {
 public:
  explicit Cpp(const bench::Traffic& traffic) : library_(traffic) {}

  std::size_t bare_send(std::uint16_t burst) {
    memif::TxBurst out = library_.tx().allocate(std::span(buffers_).first(burst), 64);
    benchmark::DoNotOptimize(out.buffers().data());
    return out.empty() ? 0 : out.send();
  }
  std::size_t bare_receive(std::uint16_t burst) {
    const memif::RxBurst in = library_.rx().receive(std::span(buffers_).first(burst));
    benchmark::DoNotOptimize(in.buffers().data());
    return in.size();
  }

 private:
  bench::Library library_;
  std::array<memif::Buffer, 256> buffers_;
};

enum class Call { send, receive };

template <class End>
void move_packets(benchmark::State& state, End* end, Call timed, std::uint16_t burst) {
  for (auto _ : state) {
    std::size_t sent = 0, received = 0;
    const auto start = Clock::now();
    for (std::size_t n = 0; n < batch; n += burst) sent += end->bare_send(burst);
    const auto between = Clock::now();
    for (std::size_t n = 0; n < batch; n += burst) received += end->bare_receive(burst);
    const std::chrono::duration<double> time = timed == Call::send ? between - start : Clock::now() - between;
    state.SetIterationTime(time.count());
    if (sent != batch || received != batch) return state.SkipWithError("packets were lost");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(batch) * state.iterations());
}

// The ring is full for who sends, empty for who receives.
template <class End>
void come_back_with_nothing(benchmark::State& state, End* end, Call timed) {
  std::size_t moved = 0;
  while (timed == Call::send && end->bare_send(1) != 0) {
  }
  for (auto _ : state) moved += timed == Call::send ? end->bare_send(32) : end->bare_receive(32);
  while (end->bare_receive(32) != 0) {
  }
  if (moved != 0) return state.SkipWithError("packets where there are none");
  state.SetItemsProcessed(state.iterations());
}

template <class End>
void add_calls(const std::string& api, bool to_server) {
  static End to_client({.shape = {.to_server = false}}), from_client({.shape = {.to_server = true}});
  End* const end = to_server ? &from_client : &to_client;
  for (const Call call : {Call::send, Call::receive})
    for (const std::uint16_t burst : std::to_array<std::uint16_t>({0, 1, 4, 8, 32, 256})) {
      const std::string name = std::string(call == Call::send ? "send" : "receive") +
                               (to_server ? "/client_to_server/" : "/server_to_client/") + api + "/" +
                               std::to_string(burst);
      if (burst == 0)
        benchmark::RegisterBenchmark(name.c_str(), come_back_with_nothing<End>, end, call);
      else
        benchmark::RegisterBenchmark(name.c_str(), move_packets<End>, end, call, burst)->UseManualTime();
    }
}

// One of each kind by which a link comes up.
const auto handshake = std::to_array<message::Message>(
    {message::Hello{"server", 0x200, 0x200, 255, 255, 255, 14}, message::Init{.version = 0x200, .name = "client"},
     message::AddRegion{0, 1 << 22}, message::AddRing{.log2_ring_size = 10}, message::Connect{"memif0"},
     message::Connected{"memif1"}, message::Ack{}});

void encode(benchmark::State& state) {
  for (auto _ : state)
    for (const message::Message& sent : handshake) benchmark::DoNotOptimize(message::emit(sent));
  state.SetItemsProcessed(static_cast<std::int64_t>(handshake.size()) * state.iterations());
}

void decode(benchmark::State& state) {
  std::array<message::Bytes, handshake.size()> datagrams;
  for (std::size_t i = 0; i < handshake.size(); ++i) datagrams[i] = message::emit(handshake[i]);
  for (auto _ : state)
    for (const message::Bytes& received : datagrams) benchmark::DoNotOptimize(message::parse(received));
  state.SetItemsProcessed(static_cast<std::int64_t>(handshake.size()) * state.iterations());
}

}  // namespace

int main(int argc, char** argv) {
  bench::pin(0);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  for (const bool to_server : {true, false}) {
    add_calls<Cpp>("cpp", to_server);
    add_calls<bench::CApi>("c", to_server);
  }
  benchmark::RegisterBenchmark("encode/both/cpp/1", encode);
  benchmark::RegisterBenchmark("decode/both/cpp/1", decode);
  benchmark::RunSpecifiedBenchmarks();
}
