// Your own loop: memif inside an epoll loop that the program has already.
//
//   own_loop SOCKET [client|server]
//
// The library asks, through four hooks, which descriptors to watch and when to wake up; the loop reports back by
// Context::handle() and Context::handle_timer(). The same works for libuv, asio, GLib. Packets are counted and dropped.
// Ends on Ctrl+C, which this loop takes as a descriptor too.
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <iostream>
#include <optional>
#include <string_view>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <memif/memif.hpp>

namespace {

// The hooks. Descriptors are watched level-triggered; the one timer becomes the time-out of epoll_wait().
class Epoll : public memif::EventLoop {
 public:
  memif::Status add(int fd, unsigned events) override { return control(EPOLL_CTL_ADD, fd, events); }
  memif::Status change(int fd, unsigned events) override { return control(EPOLL_CTL_MOD, fd, events); }
  void remove(int fd) noexcept override { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }
  void set_timer(std::optional<memif::Clock::time_point> when) noexcept override { timer_ = when; }

  // Waits for descriptors, at most until the timer, and calls on_ready(fd) for each. True if the timer's time has come.
  template <class OnReady>
  bool wait(OnReady&& on_ready) {
    std::array<epoll_event, 16> ready;
    const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), timeout());
    for (int i = 0; i < count; ++i) on_ready(ready[static_cast<std::size_t>(i)].data.fd);
    return timer_ && memif::Clock::now() >= *timer_;
  }

 private:
  memif::Status control(int operation, int fd, unsigned events) {
    epoll_event event{};
    event.events = ((events & memif::event_read) ? EPOLLIN : 0u) | ((events & memif::event_write) ? EPOLLOUT : 0u);
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), operation, fd, &event) != 0) return memif::system_error(errno, "epoll_ctl");
    return memif::Nothing{};
  }

  int timeout() const {
    if (!timer_) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*timer_ - memif::Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }

  memif::Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::optional<memif::Clock::time_point> timer_;
};

memif::Fd block_and_watch_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  return memif::Fd(::signalfd(-1, &signals, SFD_CLOEXEC));
}

// The queue's descriptor is readable: a link has come or gone, or packets have. Take what is there. arm() asks for the
// next interrupt and says whether it is safe to sleep; if a packet slipped in meanwhile it says no, and we take that
// too.
std::size_t drain(memif::RxQueue& queue) {
  static std::array<memif::Buffer, 64> buffers;
  std::size_t packets = 0;
  queue.disarm();
  do {
    for (auto burst = queue.receive(buffers); !burst.empty(); burst = queue.receive(buffers)) packets += burst.size();
  } while (!queue.arm());
  return packets;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " SOCKET [client|server]\n";
    return 2;
  }
  try {
    Epoll loop;  // outlives the context
    const memif::Fd signals = block_and_watch_signals();
    std::size_t received = 0;

    memif::Context context{{.app_name = "own-loop", .loop = &loop}};
    memif::InterfaceConfig config;
    config.socket = argv[1];
    if (argc > 2 && std::string_view(argv[2]) == "server") config.role = memif::Role::server;
    config.rx_mode = memif::RxMode::interrupt;
    config.on_connected = [](memif::Interface&) { std::cout << "connected" << std::endl; };
    config.on_disconnected = [](memif::Interface&, const memif::Reason& why) {
      std::cout << "disconnected: " << why.text << std::endl;
    };
    memif::RxQueue& rx = context.add(config).rx(0);
    const int packets = rx.event_fd();  // the same over all links

    loop.add(packets, memif::event_read).value();
    loop.add(signals.get(), memif::event_read).value();
    for (bool running = true; running;) {
      const bool timer = loop.wait([&](int fd) {
        if (fd == signals.get())
          running = false;
        else if (fd == packets)
          received += drain(rx);
        else
          context.handle(fd);  // one of the library's
      });
      if (timer) context.handle_timer();
    }
    std::cout << received << " packets received" << std::endl;
  } catch (const memif::Exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
