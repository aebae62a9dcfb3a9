// Switch: Ethernet frames between several memifs go to the port where their receiver was heard last, or to all others.
//
//   switch SOCKET SOCKET...       a server on each, for one peer each; for example: switch /tmp/a.sock /tmp/b.sock
//
// One thread does everything, and sleeps when there is nothing to do: a WaitSet waits for the packets of all ports and
// for their connections. Peers may go and come back. Ends on Ctrl+C.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <map>
#include <span>
#include <utility>
#include <vector>

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

class Switch {
 public:
  explicit Switch(std::vector<memif::Interface*> ports) : ports_(std::move(ports)) {}

  // All packets that port `from` has now. What is not taken here makes the port ready again at once.
  void serve(std::size_t from) {
    std::array<memif::Buffer, 64> buffers;
    for (const memif::Packet packet : ports_[from]->rx(0).receive(buffers)) {
      // A long packet is a chain of buffers; a switch that knows nothing of it but its addresses can copy it first.
      if (!packet.contiguous()) joined_.resize(packet.size());
      pass(from, packet.contiguous() ? packet.bytes() : std::span(joined_).first(packet.copy_to(joined_)));
    }
  }

 private:
  using Mac = std::array<std::byte, 6>;

  // A port without room, or without a peer, loses the frame: a switch holds nobody up.
  void pass(std::size_t from, std::span<const std::byte> frame) {
    if (frame.size() < 14) return;
    const Mac receiver = mac(frame.first(6)), sender = mac(frame.subspan(6, 6));
    if (seen_.size() < 4096 || seen_.contains(sender)) seen_[sender] = from;  // a peer can make up any number of them
    const auto known = seen_.find(receiver);
    for (std::size_t to = 0; to < ports_.size(); ++to)
      if (to != from && (known == seen_.end() || known->second == to)) ports_[to]->tx(0).send_copy(frame);
  }

  static Mac mac(std::span<const std::byte> bytes) {
    Mac mac;
    std::copy(bytes.begin(), bytes.end(), mac.begin());
    return mac;
  }

  std::vector<memif::Interface*> ports_;
  std::map<Mac, std::size_t> seen_;
  std::vector<std::byte> joined_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " SOCKET SOCKET...\n";
    return 2;
  }
  try {
    memif::Context context{{.app_name = "switch"}};
    memif::WaitSet set;
    std::vector<memif::Interface*> ports;
    for (int i = 1; i < argc; ++i) {
      memif::InterfaceConfig config;
      config.socket = argv[i];
      config.role = memif::Role::server;
      config.on_connected = [](memif::Interface& port) { std::cout << port.config().socket << " is up" << std::endl; };
      memif::Interface& port = context.add(config);
      set.add(port.rx(0), ports.size());  // its key: the index in `ports`
      ports.push_back(&port);
    }
    const memif::WaitSet::Key connections = ports.size();
    set.add(context, connections);

    waiting = &set;
    std::signal(SIGINT, stop);
    std::signal(SIGTERM, stop);
    Switch ethernet(std::move(ports));
    while (running) {
      for (const memif::WaitSet::Key ready : set.wait(-1ns))
        ready == connections ? static_cast<void>(context.poll(0ms)) : ethernet.serve(ready);
    }
    waiting = nullptr;
  } catch (const memif::Exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
