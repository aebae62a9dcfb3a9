// Echo in a loop of sd-event: every Ethernet frame goes back to its sender, its MAC addresses swapped.
//
//   sd_event_echo SOCKET
//
// Listens on SOCKET. The driver polls the context, and that resumes the coroutine that waits for packets; neither
// notices that peers go and come back. Ends on Ctrl+C.
#include <algorithm>
#include <array>
#include <csignal>
#include <iostream>
#include <memory>
#include <span>

#include <memif/adapters/sd_event.hpp>
#include <memif/coroutine.hpp>

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

memif::Task serve(memif::Interface& port, std::size_t& echoed) {
  for (;;) {
    const memif::Waited how = co_await port.rx(0).ready();
    if (over(how)) co_return;
    echoed += echo(port.rx(0), port.tx(0));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " SOCKET\n";
    return 2;
  }
  try {
    memif::Context context{{.app_name = "sd_event-echo"}};
    memif::InterfaceConfig config;
    config.socket = argv[1];
    config.role = memif::Role::server;
    config.on_disconnected = [](memif::Interface&, const memif::Reason& why) {
      std::cout << "disconnected: " << why.text << std::endl;
    };
    memif::Interface& port = context.add(config);

    std::size_t echoed = 0;
    const memif::Task task = serve(port, echoed);
    sd_event* made = nullptr;
    if (const int error = sd_event_new(&made); error < 0)
      throw memif::Exception(memif::system_error(-error, "sd_event_new"));
    const std::unique_ptr<sd_event, sd_event* (*)(sd_event*)> loop(made, sd_event_unref);
    const memif::on_sd_event::Driver driver(loop.get(), context);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    for (const int number : {SIGINT, SIGTERM}) sd_event_add_signal(loop.get(), nullptr, number, nullptr, nullptr);
    sd_event_loop(loop.get());  // a signal without a handler ends it
    std::cout << echoed << " frames echoed\n";
  } catch (const memif::Exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
