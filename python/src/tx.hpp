// Transmit queues.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <memif/tx_queue.hpp>

#include "control.hpp"
#include "interpreter.hpp"

namespace memif_python {

// A transmit queue, for several threads, which take turns. Methods: with the GIL.
class TxCore : public OfThisProcess {
 public:
  TxCore(std::shared_ptr<InterfaceCore> interface, std::size_t index);
  ~TxCore();

  // Sends the packets in order, waits for free slots until the deadline, and returns how many were sent. Throws
  // ValueError for an empty packet, or one that is too long for the ring: those before it are sent then.
  std::size_t send(const py::object& packets, const py::object& timeout);
  std::size_t room();
  const memif::TxCounters& counters() const noexcept { return queue_->counters(); }
  const InterfaceCore& interface() const noexcept { return *interface_; }

  using Bytes = std::span<const std::byte>;

 private:
  struct Put {
    std::size_t packets = 0;
    bool too_long = false;  // the next one does not even fit into an empty ring
  };
  template <class Source>
  std::size_t send_all(Source& source, std::size_t count, const Deadline& deadline);
  Put put(std::span<const Bytes> packets);
  void fit_array();
  bool too_long(std::uint32_t size) noexcept;
  Put put_now(std::span<const Bytes> packets) noexcept;

  std::shared_ptr<InterfaceCore> interface_;
  std::shared_ptr<memif::TxQueue> queue_;
  std::mutex mutex_;  // held without the GIL, or for a time in which nothing waits
  std::vector<memif::Buffer> array_;
};

}  // namespace memif_python
