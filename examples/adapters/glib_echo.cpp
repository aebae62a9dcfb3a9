// Echo in a loop of GLib: every Ethernet frame goes back to its sender, its MAC addresses swapped.
//
//   glib_echo SOCKET
//
// Listens on SOCKET. The driver does what the connection needs, the receiver tells of packets; both stay as they are
// while peers go and come back. Ends on Ctrl+C.
#include <algorithm>
#include <array>
#include <csignal>
#include <iostream>
#include <memory>
#include <span>

#include <memif/adapters/glib.hpp>

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
    memif::Context context{{.app_name = "glib-echo"}};
    memif::InterfaceConfig config;
    config.socket = argv[1];
    config.role = memif::Role::server;
    config.on_disconnected = [](memif::Interface&, const memif::Reason& why) {
      std::cout << "disconnected: " << why.text << std::endl;
    };
    memif::Interface& port = context.add(config);

    std::size_t echoed = 0;
    const memif::on_glib::Driver driver(nullptr, context);  // the default main context
    const memif::on_glib::Receiver receiver(nullptr, port.share_rx(0),
                                            [&](memif::RxQueue& rx) { echoed += echo(rx, port.tx(0)); });
    const std::unique_ptr<GMainLoop, void (*)(GMainLoop*)> loop(g_main_loop_new(nullptr, FALSE), g_main_loop_unref);
    const auto stop = [](gpointer of) -> gboolean {
      g_main_loop_quit(static_cast<GMainLoop*>(of));
      return G_SOURCE_CONTINUE;
    };
    g_unix_signal_add(SIGINT, stop, loop.get());
    g_unix_signal_add(SIGTERM, stop, loop.get());
    g_main_loop_run(loop.get());
    std::cout << echoed << " frames echoed\n";
  } catch (const memif::Exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
