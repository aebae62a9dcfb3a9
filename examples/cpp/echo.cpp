// Echo: every Ethernet frame goes back to where it came from, its MAC addresses swapped.
//
//   echo SOCKET [client|server]        for example: echo /run/vpp/memif.sock client
//
// One thread does everything: it runs the interface's connection and moves the packets, and waits for both in one call.
// Ends on Ctrl+C.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <span>
#include <string_view>

#include <memif/memif.hpp>

using namespace std::chrono_literals;

namespace {

std::atomic<bool> running{true};
std::atomic<memif::WaitSet*> waiting{nullptr};

// wake() is for any thread and for signal handlers.
void stop(int) {
  running = false;
  if (memif::WaitSet* set = waiting) set->wake();
}

// Frames begin with the receiver's MAC address, six bytes, and the sender's. The first buffer of a packet has at least
// the headers, but a peer may send anything: look before you touch.
void swap_macs(memif::Packet frame) {
  const std::span<std::byte> bytes = frame.bytes();
  if (bytes.size() >= 12) std::swap_ranges(bytes.begin(), bytes.begin() + 6, bytes.begin() + 6);
}

// Receives one burst and sends it back. The packets are not copied out: `burst` is a view of them in shared memory,
// and when it ends their buffers go back to the peer.
std::size_t echo_burst(memif::Interface& port) {
  static std::array<memif::Buffer, 256> buffers;
  memif::RxBurst burst = port.rx(0).receive(buffers);
  for (const memif::Packet frame : burst) swap_macs(frame);
  // A client owns the memory, so a received buffer can simply change places with a free one of the transmit ring; a
  // server has to copy. forward() does what is possible, and returns how many packets there was room for; the others
  // are still in the burst, for a program that would rather try again later.
  return burst.empty() ? 0 : port.tx(0).forward(burst);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " SOCKET [client|server]\n";
    return 2;
  }
  const bool server = argc > 2 && std::string_view(argv[2]) == "server";

  try {
    memif::Context context{{.app_name = "echo"}};
    memif::InterfaceConfig config;
    config.socket = argv[1];
    config.role = server ? memif::Role::server : memif::Role::client;
    // Both callbacks run inside context.poll().
    config.on_connected = [](memif::Interface& port) {
      const memif::InterfaceInfo info = port.info();
      std::cout << "connected to " << (info.peer ? info.peer->app_name : "a peer") << std::endl;
    };
    config.on_disconnected = [](memif::Interface&, const memif::Reason& why) {
      std::cout << "disconnected: " << why.text << std::endl;
    };
    // A server listens from here on. A client tries to connect, and goes on trying for as long as the interface exists.
    memif::Interface& port = context.add(config);

    constexpr memif::WaitSet::Key connection = 0, packets = 1;
    memif::WaitSet set;
    set.add(context, connection);
    set.add(port.rx(0), packets);
    waiting = &set;
    std::signal(SIGINT, stop);
    std::signal(SIGTERM, stop);

    std::size_t echoed = 0;
    while (running) {
      for (const memif::WaitSet::Key ready : set.wait(-1ns)) {  // spins briefly, then sleeps until something happens
        if (ready == packets) echoed += echo_burst(port);
        if (ready == connection) context.poll(0ms);  // connections, timers, callbacks: never blocks here
      }
    }
    waiting = nullptr;
    std::cout << echoed << " frames echoed\n";
  } catch (const memif::Exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
