// Echo in a loop of libuv: every Ethernet frame goes back to its sender, its MAC addresses swapped.
//
//   libuv_echo SOCKET
//
// Listens on SOCKET. The driver does what the connection needs, the receiver tells of packets; both stay as they are
// while peers go and come back. Ends on Ctrl+C.
#include <algorithm>
#include <array>
#include <csignal>
#include <iostream>
#include <span>

#include <memif/adapters/libuv.hpp>

namespace {

std::size_t echo(memif::RxQueue& rx, memif::TxQueue& tx) {
  std::array<memif::Buffer, 64> buffers;
  memif::RxBurst burst = rx.receive(buffers);
  for (const memif::Packet frame : burst) {
    const std::span<std::byte> bytes = frame.bytes();
    if (bytes.size() >= 12) std::swap_ranges(bytes.begin(), bytes.begin() + 6, bytes.begin() + 6);
  }
  return tx.forward(burst);  // those for which there are no free slots are lost
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " SOCKET\n";
    return 2;
  }
  try {
    memif::Context context{{.app_name = "libuv-echo"}};
    memif::InterfaceConfig config;
    config.socket = argv[1];
    config.role = memif::Role::server;
    config.on_disconnected = [](memif::Interface&, const memif::Reason& why) {
      std::cout << "disconnected: " << why.text << std::endl;
    };
    memif::Interface& port = context.add(config);

    std::size_t echoed = 0;
    uv_loop_t* const loop = uv_default_loop();
    {
      const memif::on_libuv::Driver driver(loop, context);
      const memif::on_libuv::Receiver receiver(loop, port.share_rx(0),
                                               [&](memif::RxQueue& rx) { echoed += echo(rx, port.tx(0)); });
      std::array<uv_signal_t, 2> signals;
      for (const int number : {SIGINT, SIGTERM}) {
        uv_signal_t& signal = signals[number == SIGINT];
        uv_signal_init(loop, &signal);
        uv_signal_start(
            &signal, [](uv_signal_t* of, int) { uv_stop(of->loop); }, number);
      }
      uv_run(loop, UV_RUN_DEFAULT);
      for (uv_signal_t& signal : signals) uv_close(reinterpret_cast<uv_handle_t*>(&signal), nullptr);
      uv_run(loop, UV_RUN_NOWAIT);
    }
    uv_run(loop, UV_RUN_DEFAULT);  // closes what driver and receiver had of it
    uv_loop_close(loop);
    std::cout << echoed << " frames echoed\n";
  } catch (const memif::Exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
