// Echo in a loop of libevent: every Ethernet frame goes back to its sender, its MAC addresses swapped.
//
//   libevent_echo SOCKET
//
// Listens on SOCKET. The driver does what the connection needs, the receiver tells of packets; both stay as they are
// while peers go and come back. Ends on Ctrl+C.
#include <algorithm>
#include <array>
#include <csignal>
#include <iostream>
#include <memory>
#include <span>

#include <memif/adapters/libevent.hpp>

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
    memif::Context context{{.app_name = "libevent-echo"}};
    memif::InterfaceConfig config;
    config.socket = argv[1];
    config.role = memif::Role::server;
    config.on_disconnected = [](memif::Interface&, const memif::Reason& why) {
      std::cout << "disconnected: " << why.text << std::endl;
    };
    memif::Interface& port = context.add(config);

    std::size_t echoed = 0;
    const std::unique_ptr<event_base, void (*)(event_base*)> base(event_base_new(), event_base_free);
    const memif::on_libevent::Driver driver(base.get(), context);
    const memif::on_libevent::Receiver receiver(base.get(), port.share_rx(0),
                                                [&](memif::RxQueue& rx) { echoed += echo(rx, port.tx(0)); });
    const auto stop = [](evutil_socket_t, short, void* of) { event_base_loopbreak(static_cast<event_base*>(of)); };
    using Signal = std::unique_ptr<event, void (*)(event*)>;
    const Signal interrupt(evsignal_new(base.get(), SIGINT, stop, base.get()), event_free);
    const Signal terminate(evsignal_new(base.get(), SIGTERM, stop, base.get()), event_free);
    event_add(interrupt.get(), nullptr);
    event_add(terminate.get(), nullptr);
    event_base_dispatch(base.get());
    std::cout << echoed << " frames echoed\n";
  } catch (const memif::Exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
