// A server of two interfaces on one socket, ids 0 and 1, that sends on to each what comes from the other.
//   wire SOCKET
#include <array>
#include <chrono>

#include <memif/memif.hpp>

namespace {

void carry(memif::RxQueue& from, memif::TxQueue& to) {
  std::array<memif::Buffer, 64> buffers;
  memif::RxBurst burst = from.receive(buffers);
  to.forward(burst);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  memif::Context context{{.app_name = "wire"}};
  memif::Interface& left = context.add({.socket = argv[1], .id = 0, .role = memif::Role::server});
  memif::Interface& right = context.add({.socket = argv[1], .id = 1, .role = memif::Role::server});
  while (true) {
    context.poll(std::chrono::milliseconds(1));
    carry(left.rx(0), right.tx(0));
    carry(right.rx(0), left.tx(0));
  }
}
