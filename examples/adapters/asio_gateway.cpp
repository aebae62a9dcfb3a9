// Gateway between UDP and memif, with asio's coroutines.
//
//   asio_gateway SOCKET PORT [HOST:PORT]
//
// Each datagram that comes to 127.0.0.1:PORT becomes a packet on the memif, and each packet becomes a datagram, to
// HOST:PORT or else to whoever sent the last one. Listens on SOCKET; peers may go and come back. One thread, which
// sleeps while nothing happens. Ends on Ctrl+C.
#include <array>
#include <asio.hpp>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <memif/adapters/asio.hpp>

namespace {

using asio::awaitable, asio::use_awaitable, asio::ip::udp;

struct Gateway {
  udp::socket socket;
  udp::endpoint peer;
  memif::on_asio::Receiver receiver;
  memif::TxQueue& tx;
  std::size_t lost = 0;

  awaitable<void> to_udp() {
    std::array<memif::Buffer, 64> buffers;
    std::vector<std::byte> joined;
    while (true) {
      const memif::RxBurst burst = co_await receiver.async_receive(buffers, use_awaitable);
      for (const memif::Packet packet : burst) {
        if (peer.port() == 0) continue;
        // A packet of one buffer is sent from shared memory as it is; a chain is joined first.
        if (!packet.contiguous()) joined.resize(packet.size());
        const auto bytes =
            packet.contiguous() ? packet.bytes() : std::span(joined).first(packet.copy_to(std::span(joined)));
        asio::error_code error;
        co_await socket.async_send_to(asio::buffer(bytes.data(), bytes.size()), peer,
                                      asio::redirect_error(use_awaitable, error));
        if (error) ++lost;  // longer than a datagram, nobody there: UDP goes on
      }
    }
  }

  awaitable<void> to_memif() {
    std::array<std::byte, 65536> datagram;
    while (true) {
      udp::endpoint sender;
      asio::error_code error;
      const std::size_t size = co_await socket.async_receive_from(asio::buffer(datagram), sender,
                                                                  asio::redirect_error(use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) continue;  // of a datagram that was sent before
      if (!fixed_peer) peer = sender;
      if (!tx.send_copy(std::span(datagram).first(size))) ++lost;  // no peer, no room, nothing in it
    }
  }

  bool fixed_peer = false;
};

udp::endpoint endpoint_of(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) throw std::invalid_argument(text + ": not HOST:PORT");
  return {asio::ip::make_address(text.substr(0, colon)),
          static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1)))};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " SOCKET PORT [HOST:PORT]\n";
    return 2;
  }
  try {
    memif::Context context{{.app_name = "asio-gateway"}};
    memif::InterfaceConfig config;
    config.socket = argv[1];
    config.role = memif::Role::server;
    config.on_connected = [](memif::Interface&) { std::cout << "connected" << std::endl; };
    memif::Interface& port = context.add(config);
    asio::io_context io(1);  // ends, with the coroutines and their bursts, before the queues do
    const memif::on_asio::Driver driver(io.get_executor(), context);

    Gateway gateway{.socket = {io, endpoint_of("127.0.0.1:" + std::string(argv[2]))},
                    .peer = argc > 3 ? endpoint_of(argv[3]) : udp::endpoint(),
                    .receiver = {io.get_executor(), port.share_rx(0)},
                    .tx = port.tx(0),
                    .fixed_peer = argc > 3};
    const auto fails = [](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);  // out of run()
    };
    asio::co_spawn(io, gateway.to_udp(), fails);
    asio::co_spawn(io, gateway.to_memif(), fails);
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](asio::error_code, int) { io.stop(); });
    io.run();
    std::cout << gateway.lost << " packets lost" << std::endl;
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
