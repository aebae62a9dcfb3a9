// Receive queues, and the views of packets that Python has.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include <memif/rx_queue.hpp>

#include "control.hpp"
#include "interpreter.hpp"

namespace memif_python {

struct Lease;

// A receive queue. Everything here needs the GIL, which the waits and long copies let go of; a second thread is refused
// meanwhile.
//
// Packets come in C++ bursts and are handed out in windows: the first `max` packets of what is left of the burst. A
// Python Burst is one window. Of each window, a Lease counts the views that Python has; while there is any, nothing is
// called that could give the memory back to the peer, or unmap it: end_window() comes before every other use of the
// queue. The burst ends with its last window.
class RxCore : public OfThisProcess {
 public:
  RxCore(std::shared_ptr<InterfaceCore> interface, std::size_t index);
  ~RxCore();

  // Returns a Burst, perhaps an empty one.
  py::object receive(std::size_t max, const py::object& timeout);
  py::list receive_bytes(std::size_t max, const py::object& timeout);
  bool wait(const py::object& timeout);
  bool pending();

  bool arm();
  void disarm();
  int fd();

  memif::RxMode mode() const noexcept { return queue_->mode(); }
  void set_mode(memif::RxMode mode) const noexcept { queue_->set_mode(mode); }
  const memif::RxCounters& counters() const noexcept { return queue_->counters(); }
  const InterfaceCore& interface() const noexcept { return *interface_; }

  // The lease has no views any more, and nobody can make one.
  void lease_ended() noexcept;

 private:
  class Turn;

  void end_window();
  bool await_packets(const Deadline& deadline);
  bool wait_for_more(const Deadline& deadline);
  bool refill(std::size_t max);
  bool arm_now();
  void make_ready();
  void follow_link();
  std::span<memif::Buffer> window(std::size_t max, std::size_t& packets);
  bool left() const noexcept { return next_ < burst_.buffers().size(); }

  std::shared_ptr<InterfaceCore> interface_;
  std::shared_ptr<memif::RxQueue> queue_;
  std::vector<memif::Buffer> array_;
  memif::RxBurst burst_;
  std::size_t next_ = 0;  // the first buffer of the burst that is in no window yet; with none left, the burst has ended
  Lease* lease_ = nullptr;  // of the present window, if that has packets; it tells when it goes
  bool busy_ = false;

  // For waits: `ready_` is an epoll set of `change_` and a duplicate of the present link's interrupt, so that it stays
  // the same over all links.
  std::shared_ptr<Event> change_;
  memif::Fd ready_, interrupt_;
  std::uint32_t epoch_ = 0;  // of the link that the interrupt is of
};

}  // namespace memif_python
