// The C API as the benchmarks' subject: two interfaces of this process, joined, as in library_end.hpp.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <libmemif.h>
#include <unistd.h>
#include <vector>

#include "harness.hpp"

namespace bench {

class CApi {
 public:
  explicit CApi(const Traffic& traffic)
      : traffic_(traffic), source_(traffic.shape.size + 64), target_(traffic.shape.size + 64) {
    static int count = 0;
    memif_socket_args_t socket{};
    std::snprintf(socket.path, sizeof socket.path, "@memifpp-bench-c-%d-%d", ::getpid(), count++);
    check(memif_create_socket(&socket_, &socket, nullptr));
    memif_conn_args_t args{};
    args.socket = socket_;
    while ((std::size_t{1} << args.log2_ring_size) < traffic.shape.ring) ++args.log2_ring_size;
    args.is_master = 1;
    check(memif_create(&server_, &args, connected, disconnected, interrupted, &connected_));
    args.is_master = 0;
    check(memif_create(&client_, &args, connected, disconnected, interrupted, &connected_));
    while (connected_ != 2) check(memif_poll_event(socket_, 10));
  }
  CApi(const CApi&) = delete;
  CApi& operator=(const CApi&) = delete;
  ~CApi() {
    memif_delete(&client_);
    memif_delete(&server_);
    memif_delete_socket(&socket_);
  }

  double run(std::chrono::milliseconds time) {
    if (traffic_.shape.touch == Touch::written) return run_as<Touch::written, true>(time);
    if (traffic_.shape.touch == Touch::copy) return run_as<Touch::copy, false>(time);
    return traffic_.shape.size <= 64 ? run_as<Touch::lines, true>(time) : run_as<Touch::lines, false>(time);
  }

  // The loops around the calls are those of Library.
  template <Touch touch, bool one_line>
  void send() {
    std::uint16_t count = 0, sent = 0;
    memif_buffer_alloc(sender(), 0, out_.data(), static_cast<std::uint16_t>(traffic_.burst), &count,
                       static_cast<std::uint16_t>(traffic_.shape.size));
    if (count == 0) {
      bench::pause();
      return;
    }
    std::uint64_t counter = counter_;
    for (std::size_t i = 0; i < count; ++i) {
      produce(static_cast<std::byte*>(out_[i].data), one_line ? in_one_line(touch) : out_[i].len, touch, counter++,
              source_.data());
      if constexpr (touch == Touch::written) out_[i].len = static_cast<std::uint32_t>(traffic_.shape.size);
    }
    counter_ = counter;
    memif_tx_burst(sender(), 0, out_.data(), count, &sent);
  }
  template <Touch touch, bool one_line>
  std::size_t receive() {
    std::uint16_t count = 0;
    memif_rx_burst(receiver(), 0, in_.data(), static_cast<std::uint16_t>(traffic_.burst), &count);
    if (count == 0) {
      bench::pause();
      return 0;
    }
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count; ++i)
      sum += consume(static_cast<std::byte*>(in_[i].data), one_line ? in_one_line(touch) : in_[i].len, touch,
                     target_.data());
    keep(sum);
    memif_refill_queue(receiver(), 0, count, 0);
    return count;
  }

  // There and back: one thread sends and receives, as a client; the other, a server, copies each packet that it
  // receives, swaps its addresses, sends it and gives the buffers back. Packets a second that came back.
  double run_reflected(std::chrono::milliseconds time) {
    return measure(
        time, [this] { reflect(); },
        [this] {
          const std::size_t back = take(client_, traffic_.shape.size);
          write_to(client_, traffic_.shape.size);
          return back;
        });
  }

  // The calls alone. Both return the packets that moved.
  __attribute__((noinline)) std::size_t bare_send(std::uint16_t burst) {
    std::uint16_t count = 0, sent = 0;
    memif_buffer_alloc(sender(), 0, out_.data(), burst, &count, 64);
    if (count != 0) memif_tx_burst(sender(), 0, out_.data(), count, &sent);
    return sent;
  }
  __attribute__((noinline)) std::size_t bare_receive(std::uint16_t burst) {
    std::uint16_t count = 0;
    memif_rx_burst(receiver(), 0, in_.data(), burst, &count);
    if (count != 0) memif_refill_queue(receiver(), 0, count, 0);
    return count;
  }

 private:
  void write_to(memif_conn_handle_t end, std::size_t size) {
    std::uint16_t count = 0, sent = 0;
    memif_buffer_alloc(end, 0, in_.data(), static_cast<std::uint16_t>(traffic_.burst), &count,
                       static_cast<std::uint16_t>(size));
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(in_[i].data, source_.data(), as_unknown(size));
      in_[i].len = static_cast<std::uint32_t>(size);
    }
    if (count != 0) memif_tx_burst(end, 0, in_.data(), count, &sent);
  }
  std::size_t take(memif_conn_handle_t end, std::size_t size) {
    std::uint16_t count = 0;
    memif_rx_burst(end, 0, in_.data(), static_cast<std::uint16_t>(traffic_.burst), &count);
    if (count == 0) return 0;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count; ++i)
      sum += consume(static_cast<std::byte*>(in_[i].data), std::min<std::size_t>(size, 64), Touch::written, nullptr);
    keep(sum);
    memif_refill_queue(end, 0, count, 0);
    return count;
  }
  void reflect() {
    std::uint16_t count = 0, room = 0, sent = 0;
    memif_rx_burst(server_, 0, out_.data(), static_cast<std::uint16_t>(traffic_.burst), &count);
    if (count == 0) {
      bench::pause();
      return;
    }
    memif_buffer_alloc(server_, 0, back_.data(), count, &room, static_cast<std::uint16_t>(traffic_.shape.size));
    for (std::size_t i = 0; i < room; ++i) {
      std::memcpy(back_[i].data, out_[i].data, as_unknown(out_[i].len));
      back_[i].len = out_[i].len;
      auto* const addresses = static_cast<std::byte*>(back_[i].data);
      std::swap_ranges(addresses, addresses + 6, addresses + 6);
    }
    if (room != 0) memif_tx_burst(server_, 0, back_.data(), room, &sent);
    memif_refill_queue(server_, 0, count, 0);
  }

  template <Touch touch, bool one_line>
  double run_as(std::chrono::milliseconds time) {
    return measure(
        time, [this] { send<touch, one_line>(); }, [this] { return receive<touch, one_line>(); });
  }
  static void check(int code) {
    if (code == MEMIF_ERR_SUCCESS) return;
    std::fprintf(stderr, "%s\n", memif_strerror(code));
    std::exit(1);
  }
  static int connected(memif_conn_handle_t connection, void* count) {
    ++*static_cast<int*>(count);
    check(memif_set_rx_mode(connection, MEMIF_RX_MODE_POLLING, 0));
    return memif_refill_queue(connection, 0, UINT16_MAX, 0);
  }
  // Other libraries call these without asking whether they are there.
  static int disconnected(memif_conn_handle_t, void*) { return 0; }
  static int interrupted(memif_conn_handle_t, void*, std::uint16_t) { return 0; }
  memif_conn_handle_t sender() const { return traffic_.shape.to_server ? client_ : server_; }
  memif_conn_handle_t receiver() const { return traffic_.shape.to_server ? server_ : client_; }

  Traffic traffic_;
  memif_socket_handle_t socket_ = nullptr;
  memif_conn_handle_t server_ = nullptr, client_ = nullptr;
  int connected_ = 0;
  std::vector<std::byte> source_, target_;
  alignas(128) std::array<memif_buffer_t, 256> out_{}, back_{};
  std::uint64_t counter_ = 0;
  alignas(128) std::array<memif_buffer_t, 256> in_{};
};

}  // namespace bench
