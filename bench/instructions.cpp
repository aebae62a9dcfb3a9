// Instructions per packet, for callgrind: two interfaces of this process, one thread, bursts of 32. The functions that
// callgrind is told to look at are what an application's loop is: take a burst and give it back, allocate and send.
#include <cstdio>
#include <cstdlib>

#include "library_end.hpp"

namespace {

constexpr std::size_t burst = 32;

__attribute__((noinline)) std::size_t receive_and_release(memif::RxQueue& rx, std::span<memif::Buffer> buffers) {
  const memif::RxBurst in = rx.receive(buffers);
  return in.size();
}

__attribute__((noinline)) std::size_t allocate_and_send(memif::TxQueue& tx, std::span<memif::Buffer> buffers) {
  memif::TxBurst out = tx.allocate(buffers, 64);
  return out.send();
}

}  // namespace

// instructions client_to_server|server_to_client BURSTS
int main(int argc, char** argv) {
  if (argc != 3) return 2;
  bench::Library library({.shape = {.to_server = std::string(argv[1]) == "client_to_server"}});
  std::array<memif::Buffer, burst> buffers;
  std::size_t sent = 0, received = 0;
  for (long i = std::atol(argv[2]); i != 0; --i) {
    sent += allocate_and_send(library.tx(), buffers);
    received += receive_and_release(library.rx(), buffers);
  }
  std::printf("{\"sent\": %zu, \"received\": %zu}\n", sent, received);
}
