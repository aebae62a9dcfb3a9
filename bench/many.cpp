// What a packet costs the thread that serves 1, 10, 100, 1,000 interfaces, the same load spread over them in bursts: as
// a C++ program with a WaitSet, as a C program in memif_poll_event(), and polling all at full speed. One JSON object a
// line.
//   many [MILLISECONDS [INTERFACES...]]
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <libmemif.h>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

#include <memif/memif.hpp>

#include "harness.hpp"

namespace {

using namespace bench;
using namespace std::chrono_literals;

constexpr std::size_t burst = 32;
constexpr double load = 1e6;  // packets a second, where nobody polls

void check(int code) {
  if (code == MEMIF_ERR_SUCCESS) return;
  std::fprintf(stderr, "%s\n", memif_strerror(code));
  std::exit(1);
}

double cpu_seconds() {
  timespec time;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// The other ends: servers, of which one after the other sends a burst.
class Senders {
 public:
  Senders(const std::string& socket, std::size_t count) {
    for (std::uint32_t id = 0; id < count; ++id)
      ends_.push_back(&context_.add({.socket = socket, .id = id, .role = memif::Role::server}));
  }
  bool connected() const {
    return std::all_of(ends_.begin(), ends_.end(), [](const memif::Interface* end) { return end->connected(); });
  }
  void poll() { context_.poll(0ms); }

  void send(bool paced) {
    if (paced) {
      if (start_ == Clock::time_point{}) start_ = Clock::now();
      if (std::chrono::duration<double>(Clock::now() - start_).count() * load < static_cast<double>(sent_))
        return bench::pause();
    }
    memif::TxBurst out = ends_[next_]->tx(0).allocate(buffers_, 64, burst);
    next_ = (next_ + 1) % ends_.size();
    for (memif::Buffer& buffer : out.buffers()) produce(buffer.data(), 8, Touch::lines, sent_, nullptr);
    sent_ += burst;
    out.send();
  }

 private:
  memif::Context context_;
  std::vector<memif::Interface*> ends_;
  std::size_t next_ = 0;
  std::uint64_t sent_ = 0;
  Clock::time_point start_{};
  std::array<memif::Buffer, burst> buffers_;
};

class CppReceivers {
 public:
  CppReceivers(const std::string& socket, std::size_t count, memif::RxMode mode) {
    for (std::uint32_t id = 0; id < count; ++id) {
      memif::Interface& end =
          context_.add({.socket = socket, .id = id, .ring_size = 64, .buffer_size = 256, .rx_mode = mode, .spin = 0us});
      if (mode != memif::RxMode::polling) set_.add(end.rx(0), ends_.size());
      ends_.push_back(&end);
    }
  }
  void poll() { context_.poll(0ms); }
  bool connected() const { return true; }  // the senders' ends tell

  std::size_t wait_and_receive() {
    std::size_t packets = 0;
    for (const memif::WaitSet::Key key : set_.wait(10ms)) packets += receive(key);
    return packets;
  }
  std::size_t poll_and_receive() {
    std::size_t packets = 0;
    for (std::size_t i = 0; i < ends_.size(); ++i) packets += receive(i);
    return packets;
  }

 private:
  std::size_t receive(std::size_t i) {
    const memif::RxBurst in = ends_[i]->rx(0).receive(buffers_);
    std::uint64_t sum = 0;
    for (const memif::Buffer& buffer : in.buffers()) sum += consume(buffer.data(), 8, Touch::lines, nullptr);
    keep(sum);
    return in.size();
  }

  memif::Context context_;
  memif::WaitSet set_;
  std::vector<memif::Interface*> ends_;
  std::array<memif::Buffer, 64> buffers_;
};

class CReceivers {
 public:
  CReceivers(const std::string& path, std::size_t count) : ends_(count) {
    memif_socket_args_t socket{};
    std::snprintf(socket.path, sizeof socket.path, "%s", path.c_str());
    check(memif_create_socket(&socket_, &socket, nullptr));
    memif_conn_args_t args{};
    args.socket = socket_;
    args.log2_ring_size = 6;
    args.buffer_size = 256;
    for (memif_conn_handle_t& end : ends_) {
      check(memif_create(&end, &args, connected, nullptr, interrupted, this));
      ++args.interface_id;
    }
  }
  CReceivers(const CReceivers&) = delete;
  CReceivers& operator=(const CReceivers&) = delete;
  ~CReceivers() {
    for (memif_conn_handle_t& end : ends_) memif_delete(&end);
    memif_delete_socket(&socket_);
  }
  void poll() { check(memif_poll_event(socket_, 0)); }
  std::size_t wait_and_receive() {
    const std::size_t before = received_;
    check(memif_poll_event(socket_, 10));
    return received_ - before;
  }

 private:
  static int connected(memif_conn_handle_t end, void*) { return memif_refill_queue(end, 0, UINT16_MAX, 0); }
  static int interrupted(memif_conn_handle_t end, void* context, std::uint16_t queue) {
    auto& self = *static_cast<CReceivers*>(context);
    std::uint16_t count = 0;
    std::uint64_t sum = 0;
    memif_rx_burst(end, queue, self.buffers_.data(), 64, &count);
    for (std::size_t i = 0; i < count; ++i)
      sum += consume(static_cast<std::byte*>(self.buffers_[i].data), 8, Touch::lines, nullptr);
    keep(sum);
    self.received_ += count;
    return memif_refill_queue(end, queue, count, 0);
  }

  memif_socket_handle_t socket_ = nullptr;
  std::vector<memif_conn_handle_t> ends_;
  std::size_t received_ = 0;
  std::array<memif_buffer_t, 64> buffers_{};
};

template <class Receivers, class Receive>
void run(const char* how, bool paced, std::chrono::milliseconds time, Senders& senders, Receivers& receivers,
         Receive receive, std::size_t count) {
  while (!senders.connected()) senders.poll(), receivers.poll();
  for (int i = 0; i < 10; ++i) senders.poll(), receivers.poll();
  double cpu = 0;
  std::uint64_t packets = 0;
  std::optional<double> began;
  const double rate = measure(
      time, [&] { senders.send(paced); },
      [&] {
        if (!began) began = cpu_seconds();
        const std::size_t n = receive();
        packets += n;
        cpu = cpu_seconds() - *began;
        return n;
      });
  std::printf("{\"bench\": \"many\", \"how\": \"%s\", \"interfaces\": %zu, \"pps\": %.0f, \"cpu_ns\": %.1f}\n", how,
              count, rate, packets == 0 ? 0 : cpu * 1e9 / static_cast<double>(packets));
  std::fflush(stdout);
}

void compare(std::size_t count, std::chrono::milliseconds time) {
  static int sockets = 0;
  const auto socket = [] {
    return "@memifpp-bench-many-" + std::to_string(::getpid()) + "-" + std::to_string(sockets++);
  };
  const auto cpp = [&](const char* how, memif::RxMode mode, bool paced) {
    const std::string path = socket();
    Senders senders(path, count);
    CppReceivers receivers(path, count, mode);
    const bool waits = mode != memif::RxMode::polling;
    run(
        how, paced, time, senders, receivers,
        [&] { return waits ? receivers.wait_and_receive() : receivers.poll_and_receive(); }, count);
  };
  cpp("WaitSet", memif::RxMode::interrupt, true);
  {
    const std::string path = socket();
    Senders senders(path, count);
    CReceivers receivers(path, count);
    run(
        "memif_poll_event", true, time, senders, receivers, [&] { return receivers.wait_and_receive(); }, count);
  }
  cpp("polling", memif::RxMode::polling, false);
}

}  // namespace

int main(int argc, char** argv) {
  struct rlimit files;
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  const auto time = std::chrono::milliseconds(argc > 1 ? std::atoi(argv[1]) : 300);
  std::vector<std::size_t> counts;
  for (int i = 2; i < argc; ++i) counts.push_back(std::strtoul(argv[i], nullptr, 10));
  if (counts.empty()) counts = {1, 10, 100, 1000};
  for (const std::size_t count : counts) compare(count, time);
}
