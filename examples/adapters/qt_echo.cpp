// Echo in a loop of Qt: every Ethernet frame goes back to its sender, its MAC addresses swapped.
//
//   qt_echo SOCKET
//
// Listens on SOCKET. The driver does what the connection needs, the receiver tells of packets; both stay as they are
// while peers go and come back. Ends on Ctrl+C.
#include <QCoreApplication>
#include <QSocketNotifier>
#include <algorithm>
#include <array>
#include <csignal>
#include <iostream>
#include <span>
#include <sys/signalfd.h>

#include <memif/adapters/qt.hpp>

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

// Signals as a descriptor, the way that a loop can wait for them.
memif::Fd block_and_watch_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  return memif::Fd(::signalfd(-1, &set, SFD_CLOEXEC));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " SOCKET\n";
    return 2;
  }
  try {
    memif::Context context{{.app_name = "qt-echo"}};
    memif::InterfaceConfig config;
    config.socket = argv[1];
    config.role = memif::Role::server;
    config.on_disconnected = [](memif::Interface&, const memif::Reason& why) {
      std::cout << "disconnected: " << why.text << std::endl;
    };
    memif::Interface& port = context.add(config);

    std::size_t echoed = 0;
    const memif::Fd stops = block_and_watch_signals();
    QCoreApplication application(argc, argv);
    const memif::on_qt::Driver driver(context);
    const memif::on_qt::Receiver receiver(port.share_rx(0),
                                          [&](memif::RxQueue& rx) { echoed += echo(rx, port.tx(0)); });
    const QSocketNotifier stop(stops.get(), QSocketNotifier::Read);
    QObject::connect(&stop, &QSocketNotifier::activated, &application, [] { QCoreApplication::quit(); });
    QCoreApplication::exec();
    std::cout << echoed << " frames echoed\n";
  } catch (const memif::Exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
