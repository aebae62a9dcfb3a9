// What the adapters to loops with callbacks have in common. Each adds how its loop watches a descriptor.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include <memif/context.hpp>
#include <memif/rx_queue.hpp>

namespace memif::adapters {

// Whom a loop tells that a descriptor is readable. Kept during the call, which may destroy all its owners.
class Readable : public std::enable_shared_from_this<Readable> {
 public:
  Readable() noexcept = default;
  virtual ~Readable() = default;
  Readable(const Readable&) = delete;
  Readable& operator=(const Readable&) = delete;

  static void call(void* readable) {
    const std::shared_ptr<Readable> kept = static_cast<Readable*>(readable)->shared_from_this();
    if (!kept->ended_) kept->on_readable();
  }
  // Nothing is called from now on.
  void end() noexcept { ended_ = true; }

 protected:
  virtual void on_readable() = 0;
  bool ended() const noexcept { return ended_; }

 private:
  bool ended_ = false;
};

// Polls a context, which has the built-in loop, from now on until it is destroyed, which must be before the context
// is, or in one of its callbacks. The loop's thread is the context's control thread. `Watch` is what a loop has for a
// descriptor. Callbacks and coroutines must not throw where the loop is a C library's.
template <class Watch, class Loop>
class Driver {
 public:
  Driver(Loop loop, Context& context)
      : polled_(std::make_shared<Polled>(context)), watch_(loop, context.fd(), polled_) {}
  ~Driver() { polled_->end(); }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

 private:
  struct Polled final : Readable {
    explicit Polled(Context& of) noexcept : context(of) {}
    void on_readable() override { context.poll(std::chrono::milliseconds(0)); }
    Context& context;
  };

  std::shared_ptr<Polled> polled_;
  Watch watch_;
};

// Calls back on the loop's thread, which uses the queue then, when there are packets and when the link has come or
// gone: receive() as many as is fair to others, and what is left is for the loop's next turn. The call may destroy the
// receiver. The queue is kept: it does not mind that its interface is removed, and is down then. The constructor throws
// an Exception if there are no descriptors, or the loop takes no more.
template <class Watch, class Loop>
class Receiver {
 public:
  using OnPackets = std::function<void(RxQueue&)>;

  Receiver(Loop loop, std::shared_ptr<RxQueue> queue, OnPackets on_packets)
      : received_(std::make_shared<Received>(std::move(queue), std::move(on_packets))),
        watch_(loop, received_->queue->event_fd(), received_) {
    received_->queue->wake();  // what has come before is told of as well
  }
  ~Receiver() { received_->end(); }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

 private:
  struct Received final : Readable {
    Received(std::shared_ptr<RxQueue> of, OnPackets call) noexcept
        : queue(std::move(of)), on_packets(std::move(call)) {}
    void on_readable() override {
      queue->disarm();
      on_packets(*queue);
      // wake() makes the descriptor readable without a word from the peer.
      if (!ended() && !queue->arm()) queue->wake();
    }
    std::shared_ptr<RxQueue> queue;
    OnPackets on_packets;
  };

  std::shared_ptr<Received> received_;
  Watch watch_;
};

}  // namespace memif::adapters
