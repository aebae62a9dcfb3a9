// The queues of an interface: where its control side and its queues' threads meet.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <memif/rx_queue.hpp>
#include <memif/tx_queue.hpp>

#include "data/link.hpp"
#include "observe/publication.hpp"

namespace memif::detail {

class InterfaceWaits;

// Owns the queues and names the present link. The control thread sets the link; queues take it at their own pace.
// Shared by the interface and by threads that outlive it.
class Queues final : public FaultObserver, public std::enable_shared_from_this<Queues> {
 public:
  // `alarm` is called on a queue's thread when it finds its peer broken; it must only wake the control thread.
  // With a publication, the queues count where observers see it.
  Queues(const InterfaceConfig& config, std::optional<Publication> publication, std::function<void()> alarm);
  ~Queues();
  Queues(const Queues&) = delete;
  Queues& operator=(const Queues&) = delete;

  RxQueue& rx(std::size_t index) { return *rx_.at(index); }
  TxQueue& tx(std::size_t index) { return *tx_.at(index); }
  std::size_t rx_count() const noexcept { return rx_.size(); }
  std::size_t tx_count() const noexcept { return tx_.size(); }

  // Any thread.
  std::shared_ptr<Link> link() const noexcept;
  std::size_t rx_rings() const noexcept;
  std::size_t tx_rings() const noexcept;
  bool connected() const noexcept;

  // Control thread. Makes `link` (or none) the present one, tells every queue, and wakes those that wait.
  void set_link(std::shared_ptr<Link> link) noexcept;

  // Control thread; nullptr: nobody is to see it.
  Publication* publication() noexcept { return publication_ ? &*publication_ : nullptr; }

  // Queue threads. The first report about the present link counts.
  void report(const std::shared_ptr<Link>& link, const char* what) noexcept;
  // Control thread: what is wrong with the present link, once.
  struct Report {
    Errc code;
    const char* what;
  };
  std::optional<Report> take_report() noexcept;
  // The present link's memory is not what it was: every queue is to look, and the control thread. Signal handlers.
  void memory_vanished() noexcept override;

  // Control thread: coroutines that wait for these queues; nullptr once the interface is removed.
  void set_waits(InterfaceWaits* waits) noexcept { waits_ = waits; }
  InterfaceWaits* waits() const noexcept { return waits_; }

  // Queue threads: changes that are not seen by then ring the queue's bell, if there is a descriptor for it.
  void make_bell(Queue& queue) noexcept;
  // Any thread: RxQueue::event_fd().
  Result<int> event_fd(RawRx& queue);
  // Any thread: makes one receive queue look at its mode.
  void raise(RawRx& queue) noexcept;

 private:
  void raise_locked(Queue& queue) noexcept;
  void raise_and_ring_locked(Queue& queue) noexcept;
  void watch_locked(RawRx& queue, const Link* former) noexcept;

  mutable std::mutex mutex_;
  std::shared_ptr<Link> link_;
  const char* report_ = nullptr;
  std::function<void()> alarm_;
  std::optional<Publication> publication_;
  InterfaceWaits* waits_ = nullptr;
  std::vector<std::unique_ptr<RxQueue>> rx_;
  std::vector<std::unique_ptr<TxQueue>> tx_;
};

}  // namespace memif::detail
