#include "rx.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/epoll.h>
#include <utility>

#include "burst.hpp"

namespace memif_python {

namespace {

// A longer packet than this array is dropped. So many are a packet of InterfaceConfig::max_packet, in buffers of
// ordinary size.
constexpr std::size_t fewest_buffers = 512;

void watch(const memif::Fd& set, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {}};
  if (::epoll_ctl(set.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    throw memif::Exception(memif::system_error(errno, "cannot watch a descriptor"));
}

}  // namespace

class RxCore::Turn {
 public:
  explicit Turn(RxCore& core) : core_(core) {
    core.check_process();
    if (core.busy_) throw std::runtime_error("another thread is using this queue");
    core.busy_ = true;
  }
  ~Turn() { core_.busy_ = false; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  RxCore& core_;
};

RxCore::RxCore(std::shared_ptr<InterfaceCore> interface, std::size_t index)
    : interface_(std::move(interface)), queue_(interface_->rx().at(index)) {}

RxCore::~RxCore() {
  if (!inherited()) return;
  new memif::RxBurst(std::move(burst_));
  new std::shared_ptr<memif::RxQueue>(std::move(queue_));
}

void RxCore::end_window() {
  if (lease_ != nullptr && !end_lease(lease_)) throw py::error_already_set();
}

void RxCore::lease_ended() noexcept {
  lease_ = nullptr;
  if (!left() && !inherited()) burst_.release();
}

bool RxCore::refill(std::size_t max) {
  if (left()) return true;
  next_ = 0;
  const std::size_t wanted = std::clamp(max, fewest_buffers, std::size_t{1} << 16);
  if (array_.size() < wanted) array_.resize(wanted);
  burst_ = queue_->receive(array_);
  return !burst_.empty();
}

// Takes up to `max` packets out of the burst.
std::span<memif::Buffer> RxCore::window(std::size_t max, std::size_t& packets) {
  const std::span<memif::Buffer> buffers = burst_.buffers().subspan(next_);
  std::size_t end = 0;
  for (packets = 0; packets != max && end != buffers.size(); ++packets) {
    while (buffers[end].more()) ++end;
    ++end;
  }
  next_ += end;
  return buffers.first(end);
}

// Something to receive, or the deadline. Ends the window before.
bool RxCore::await_packets(const Deadline& deadline) {
  end_window();
  if (left()) return true;
  interface_->check_open();
  return queue_->pending() || (!deadline.over() && wait_for_more(deadline));
}

bool RxCore::wait_for_more(const Deadline& deadline) {
  constexpr std::chrono::nanoseconds slice = std::chrono::milliseconds(5);
  for (;;) {
    const bool last = deadline.over();
    const memif::RxMode how = queue_->mode();
    const std::chrono::nanoseconds spin = how == memif::RxMode::polling ? slice : interface_->config().spin;
    bool found = false;
    if (how != memif::RxMode::interrupt && spin.count() > 0) {
      const std::chrono::nanoseconds time = deadline.left(spin);
      without_gil([&]() noexcept { found = queue_->wait(time); });
      check_signals();
    }
    interface_->check_open();
    if (found || queue_->pending()) return true;
    if (last) return false;
    if (how == memif::RxMode::polling || !arm_now()) continue;
    struct Disarm {
      RxCore* core;
      ~Disarm() {
        core->change_->clear();
        core->queue_->disarm();
      }
    } const disarm{this};
    wait_readable(ready_.get(), deadline);
  }
}

void RxCore::make_ready() {
  if (ready_) return;
  change_ = interface_->watch();
  memif::Fd set(::epoll_create1(EPOLL_CLOEXEC));
  if (!set) throw memif::Exception(memif::system_error(errno, "cannot make an epoll descriptor"));
  watch(set, change_->fd());
  ready_ = std::move(set);
  epoch_ = queue_->raw().epoch() - 1;
}

void RxCore::follow_link() {
  make_ready();
  // A descriptor of a link that has gone may be another one by now, unless the queue still has that link.
  for (queue_->up(); epoch_ != queue_->raw().epoch(); queue_->up()) {
    if (interrupt_) ::epoll_ctl(ready_.get(), EPOLL_CTL_DEL, interrupt_.get(), nullptr);
    interrupt_.reset();
    epoch_ = queue_->raw().epoch();
    const int fd = queue_->event_fd();
    if (fd < 0) continue;
    interrupt_.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (interrupt_) watch(ready_, interrupt_.get());
  }
}

bool RxCore::arm_now() {
  do {
    follow_link();
    if (!queue_->arm()) return false;
  } while (epoch_ != queue_->raw().epoch());
  return true;
}

py::object RxCore::receive(std::size_t max, const py::object& timeout) {
  const Turn turn(*this);
  std::span<memif::Buffer> buffers;
  std::size_t packets = 0;
  if (max == 0) throw py::value_error("receive() takes at least one packet");
  if (await_packets(Deadline(timeout)) && refill(max)) buffers = window(max, packets);
  try {
    return make_burst(*this, py::cast(this), buffers, packets, lease_);
  } catch (...) {
    next_ -= buffers.size();
    throw;
  }
}

py::list RxCore::receive_bytes(std::size_t max, const py::object& timeout) {
  const Turn turn(*this);
  if (max == 0) throw py::value_error("receive_bytes() takes at least one packet");
  if (!await_packets(Deadline(timeout)) || !refill(max)) return py::list();
  std::size_t packets = 0;
  const std::size_t first = next_;
  const std::span<memif::Buffer> buffers = window(max, packets);
  py::object list = py::reinterpret_steal<py::object>(PyList_New(static_cast<Py_ssize_t>(packets)));
  if (!list) {
    next_ = first;
    throw py::error_already_set();
  }
  std::size_t bytes = 0;
  const auto each = [&](auto visit) {
    memif::PacketIterator packet(buffers.data());
    for (std::size_t i = 0; i != packets; ++i, ++packet)
      if (!visit(i, *packet)) return false;
    return true;
  };
  const bool made = each([&](std::size_t i, const memif::Packet& packet) {
    const std::size_t size = packet.size();
    PyObject* const item = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size));
    if (item == nullptr) return false;
    PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), item);
    bytes += size;
    return true;
  });
  if (!made) {
    next_ = first;
    throw py::error_already_set();
  }
  const auto copy = [&]() noexcept {
    each([&](std::size_t i, const memif::Packet& packet) {
      PyObject* const item = PyList_GET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i));
      packet.copy_to({reinterpret_cast<std::byte*>(PyBytes_AS_STRING(item)), static_cast<std::size_t>(Py_SIZE(item))});
      return true;
    });
  };
  if (bytes < bytes_worth_other_threads)
    copy();
  else
    without_gil(copy);
  if (!left()) burst_.release();
  return py::reinterpret_steal<py::list>(list.release());
}

bool RxCore::wait(const py::object& timeout) {
  const Turn turn(*this);
  return await_packets(Deadline(timeout));
}

bool RxCore::pending() {
  const Turn turn(*this);
  // The queue may not look for another link while there are views of this one.
  return left() || (lease_ != nullptr ? queue_->raw().pending_here() : queue_->pending());
}

bool RxCore::arm() {
  const Turn turn(*this);
  end_window();
  if (left()) return false;
  interface_->check_open();
  return arm_now();
}

void RxCore::disarm() {
  const Turn turn(*this);
  end_window();
  if (change_ != nullptr) change_->clear();
  if (!left()) queue_->disarm();
}

int RxCore::fd() {
  const Turn turn(*this);
  end_window();
  make_ready();
  return ready_.get();
}

}  // namespace memif_python
