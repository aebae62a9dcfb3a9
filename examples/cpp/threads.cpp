// Threads: two queues, each on a thread of its own. The first polls and never sleeps, the second sleeps until the peer
// interrupts it; connections are the main thread's. All packets go back as they came.
//
//   threads SOCKET [client|server]     the peer should have two queues each way too
//
// A link that goes down while the threads run is no trouble: their queues then move nothing, and pick up the next link
// by themselves. Nobody has to tell the threads. Ends on Ctrl+C.
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <memory>
#include <stop_token>
#include <string_view>
#include <thread>

#include <memif/memif.hpp>

using namespace std::chrono_literals;

namespace {

std::atomic<bool> running{true};
std::atomic<memif::Context*> main_context{nullptr};

// poll() may sleep for long; wake() is the one call that a signal handler may make.
void stop(int) {
  running = false;
  if (memif::Context* context = main_context) context->wake();
}

// A thread's whole life. Only this thread uses the two queues; it holds them itself, so they stay valid whatever
// happens to the interface meanwhile.
void work(const std::stop_token& stopping, const std::shared_ptr<memif::RxQueue>& rx,
          const std::shared_ptr<memif::TxQueue>& tx) {
  std::array<memif::Buffer, 64> buffers;
  const std::stop_callback wake(stopping, [&rx] { rx->wake(); });
  while (!stopping.stop_requested()) {
    // How it waits is the queue's mode.
    if (!rx->wait(-1ns)) continue;
    memif::RxBurst burst = rx->receive(buffers);
    if (!burst.empty()) tx->forward(burst);
  }
}

// Counters can be read from any thread, also while the queue is at work.
void report(memif::Interface& port, std::size_t queue, const char* name) {
  const memif::RxCounters& rx = port.rx(queue).counters();
  const memif::TxCounters& tx = port.tx(queue).counters();
  std::cout << "queue " << queue << " (" << name << "): " << rx.packets.get() << " received, " << tx.packets.get()
            << " sent, slept " << rx.sleeps.get() << " times\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " SOCKET [client|server]\n";
    return 2;
  }
  try {
    memif::Context context{{.app_name = "threads"}};
    main_context = &context;
    std::signal(SIGINT, stop);
    std::signal(SIGTERM, stop);

    memif::InterfaceConfig config;
    config.socket = argv[1];
    if (argc > 2 && std::string_view(argv[2]) == "server") config.role = memif::Role::server;
    config.rx_queues = 2;
    config.tx_queues = 2;
    config.on_connected = [](memif::Interface&) { std::cout << "connected" << std::endl; };
    config.on_disconnected = [](memif::Interface&, const memif::Reason& why) {
      std::cout << "disconnected: " << why.text << std::endl;
    };
    memif::Interface& port = context.add(config);
    port.rx(0).set_mode(memif::RxMode::polling);
    port.rx(1).set_mode(memif::RxMode::interrupt);

    // Threads may start before there is a link.
    std::jthread polling(
        [rx = port.share_rx(0), tx = port.share_tx(0)](const std::stop_token& stopping) { work(stopping, rx, tx); });
    std::jthread sleeping(
        [rx = port.share_rx(1), tx = port.share_tx(1)](const std::stop_token& stopping) { work(stopping, rx, tx); });
    while (running) context.poll(-1ms);

    polling = {};  // stops and joins
    sleeping = {};
    report(port, 0, "polling");
    report(port, 1, "interrupts");
    main_context = nullptr;
  } catch (const memif::Exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
