// Coroutines: several memifs on one thread, each served by code that reads from top to bottom.
//
//   coroutines SOCKET SOCKET...     a server on each; every Ethernet frame goes back to its sender
//
// A coroutine waits for its peer, then for packets, then for free slots if the peer takes none; meanwhile the others
// run. All of them are resumed by Context::poll(). Each co_await is a statement of its own: in a condition, GCC 12
// compiles it wrongly. Ends on Ctrl+C.
#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <iostream>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <memif/coroutine.hpp>

using namespace std::chrono_literals;

namespace {

std::atomic<memif::Context*> polling{nullptr};

// wake() is for any thread and for signal handlers.
void wake(int) {
  if (memif::Context* context = polling) context->wake();
}

void swap_addresses(const memif::Packet& packet) {
  const std::span<std::byte> frame = packet.bytes();
  if (frame.size() >= 12) std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
}

// Sends a burst back, in as many parts as the peer takes it.
memif::Task send_back(memif::TxQueue& tx, memif::RxBurst burst, std::stop_token stop) {
  while (!burst.empty()) {
    // A peer that takes nothing for a second loses what is left; the burst of a link that has gone is empty.
    const memif::Waited room = co_await tx.room(1, 1s, stop);
    if (room != memif::Waited::ready) co_return;
    tx.forward(burst);
  }
}

memif::Task echo(memif::Interface& port, std::stop_token stop) {
  const std::string name = port.config().socket;
  for (;;) {
    const memif::Waited link = co_await port.until_connected(stop);
    if (memif::over(link)) co_return;
    std::cout << name << ": " << port.info().peer->app_name << " has come" << std::endl;
    std::size_t frames = 0;
    std::array<memif::Buffer, 64> buffers;
    memif::Waited how = memif::Waited::ready;
    while (port.connected() && !memif::over(how)) {
      how = co_await port.rx(0).ready(stop);
      if (how != memif::Waited::ready) continue;  // the link has gone, for example
      memif::RxBurst burst = port.rx(0).receive(buffers);
      frames += burst.size();
      for (const memif::Packet packet : burst) swap_addresses(packet);
      co_await send_back(port.tx(0), std::move(burst), stop);
    }
    std::cout << name << ": " << frames << " frames" << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " SOCKET SOCKET...\n";
    return 2;
  }
  try {
    memif::Context context{{.app_name = "coroutines"}};
    std::stop_source stop;
    std::vector<memif::Task> tasks;
    for (int i = 1; i < argc; ++i) {
      memif::InterfaceConfig config;
      config.socket = argv[i];
      config.role = memif::Role::server;
      tasks.push_back(echo(context.add(config), stop.get_token()));
    }
    polling = &context;
    std::signal(SIGINT, wake);
    std::signal(SIGTERM, wake);
    while (context.poll(-1ms) != memif::PollResult::woken) {
    }
    polling = nullptr;
    stop.request_stop();  // each ends its loop, in one more poll()
    context.poll(0ms);
    for (const memif::Task& task : tasks) task.get();
  } catch (const memif::Exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
