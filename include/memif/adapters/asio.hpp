// A context and its queues in a loop of asio: standalone asio 1.18 and later; with MEMIF_BOOST_ASIO defined,
// Boost.Asio.
//
//   memif::on_asio::Driver driver(io.get_executor(), context);
//   memif::on_asio::Receiver receiver(io.get_executor(), port.share_rx(0));
//   memif::RxBurst burst = co_await receiver.async_receive(buffers, asio::use_awaitable);
//
// Completion tokens, associated executors (strands) and cancellation slots (asio 1.20) are as everywhere in asio.
// Coroutines that wait by memif/coroutine.hpp need a Driver only.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#if defined(MEMIF_BOOST_ASIO)
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#else
#include <asio/any_io_executor.hpp>
#include <asio/compose.hpp>
#include <asio/error.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#endif

#include <memif/context.hpp>
#include <memif/rx_queue.hpp>
#include <memif/tx_queue.hpp>

namespace memif::on_asio {

#if defined(MEMIF_BOOST_ASIO)
inline namespace of_boost {
#define MEMIF_ASIO_CANCELS (BOOST_ASIO_VERSION >= 102000)
namespace net = ::boost::asio;
using error_code = ::boost::system::error_code;
#else
inline namespace standalone {
#define MEMIF_ASIO_CANCELS (ASIO_VERSION >= 102000)
namespace net = ::asio;
using error_code = ::asio::error_code;
#endif

// A descriptor of memifpp's, which asio is not to close.
class Descriptor {
 public:
  Descriptor(const net::any_io_executor& executor, int fd) : asio(executor, fd) {}
  ~Descriptor() { end(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  // Waits end, with operation_aborted.
  void end() noexcept {
    if (asio.is_open()) asio.release();
  }

  net::posix::stream_descriptor asio;
};

// Polls a context, which has the built-in loop, from now on until it is destroyed, which must be before the context
// is, or in one of its callbacks. Everything of the context is done on `executor` then: one thread, or a strand. What a
// callback or a coroutine throws comes out of the io_context's run().
class Driver {
 public:
  Driver(const net::any_io_executor& executor, Context& context) : state_(std::make_shared<State>(executor, context)) {
    State::wait(state_);
  }
  ~Driver() {
    state_->ended = true;
    state_->descriptor.end();
  }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

 private:
  struct State {
    State(const net::any_io_executor& executor, Context& of) : descriptor(executor, of.fd()), context(of) {}

    static void wait(std::shared_ptr<State> state) {
      net::posix::stream_descriptor& descriptor = state->descriptor.asio;
      descriptor.async_wait(descriptor.wait_read, [kept = std::move(state)](error_code error) mutable {
        if (error || kept->ended) return;
        const Renewed renewed{std::move(kept)};
        renewed.state->context.poll(std::chrono::milliseconds(0));
      });
    }
    struct Renewed {  // whatever is thrown
      ~Renewed() {
        if (!state->ended) wait(state);
      }
      std::shared_ptr<State> state;
    };

    Descriptor descriptor;
    Context& context;
    bool ended = false;
  };

  std::shared_ptr<State> state_;
};

// Waits for the packets of a queue. It keeps the queue, and does not mind links that come and go, nor the interface's
// end: only the link is down then. One wait at a time, on one thread at a time, as all of a queue; `executor` is where
// handlers run that have no other. Waits end with operation_aborted when the receiver is destroyed.
class Receiver {
 public:
  using executor_type = net::any_io_executor;

  Receiver(const net::any_io_executor& executor, std::shared_ptr<RxQueue> queue)
      : state_(std::make_shared<State>(executor, std::move(queue))) {}
  ~Receiver() {
    if (state_ != nullptr) state_->descriptor.end();
  }
  Receiver(Receiver&&) noexcept = default;
  Receiver& operator=(Receiver&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }

  executor_type get_executor() { return state_->descriptor.asio.get_executor(); }
  RxQueue& queue() const noexcept { return *state_->queue; }

  // Waits until the queue has packets. void(error_code)
  template <class Token>
  auto async_wait(Token&& token) {
    return start<void(error_code)>([](RxQueue& queue) { return queue.pending(); },
                                   [](auto& self, RxQueue&, error_code error) { self.complete(error); },
                                   std::forward<Token>(token));
  }

  // Waits until the queue has a link. void(error_code)
  template <class Token>
  auto async_connected(Token&& token) {
    return start<void(error_code)>([](RxQueue& queue) { return queue.up(); },
                                   [](auto& self, RxQueue&, error_code error) { self.complete(error); },
                                   std::forward<Token>(token));
  }

  // Waits for packets and receives them: RxQueue::receive(). The burst may be empty without an error, if all that came
  // was dropped. It must end before the queue does: a coroutine that has one, before its interface, so declare the
  // io_context after the context. void(error_code, RxBurst)
  template <class Token>
  auto async_receive(std::span<Buffer> buffers, Token&& token) {
    return start<void(error_code, RxBurst)>([](RxQueue& queue) { return queue.pending(); },
                                            [buffers](auto& self, RxQueue& queue, error_code error) {
                                              self.complete(error, error ? RxBurst() : queue.receive(buffers));
                                            },
                                            std::forward<Token>(token));
  }

  // Ends the wait, with operation_aborted.
  void cancel() { state_->descriptor.asio.cancel(); }

 private:
  struct State {
    State(const net::any_io_executor& executor, std::shared_ptr<RxQueue> of)
        : queue(std::move(of)), descriptor(executor, queue->event_fd()) {}
    std::shared_ptr<RxQueue> queue;
    Descriptor descriptor;
  };

  template <class There, class Complete>
  struct Operation {
    std::shared_ptr<State> state;
    There there;
    Complete complete;
    bool begun = false;

    template <class Self>
    void operator()(Self& self, error_code error = {}) {
      RxQueue& queue = *state->queue;
      const bool first = !std::exchange(begun, true);
      if (first) accept_cancellation(self);
      if (!error && !state->descriptor.asio.is_open()) error = net::error::operation_aborted;
      if (!error) {
        if (!first) queue.disarm();
        const bool found = there(queue) || (!queue.arm() && there(queue));
        // Never from within the function that has begun it.
        if (found && first) return net::post(get_executor(), std::move(self));
        if (!found && is_cancelled(self)) error = net::error::operation_aborted;
        if (!found && !error) return wait(self);
      }
      const std::shared_ptr<State> kept = state;  // `self`, and with it this, is gone once it is complete
      auto last = std::move(complete);
      last(self, queue, error);
    }

    template <class Self>
    void wait(Self& self) {
      net::posix::stream_descriptor& descriptor = state->descriptor.asio;
      descriptor.async_wait(descriptor.wait_read, std::move(self));
    }
    net::any_io_executor get_executor() const { return state->descriptor.asio.get_executor(); }

    template <class Self>
    static void accept_cancellation(Self& self) {
#if MEMIF_ASIO_CANCELS
      self.reset_cancellation_state(net::enable_total_cancellation());
#else
      static_cast<void>(self);
#endif
    }
    template <class Self>
    static bool is_cancelled(Self& self) {
#if MEMIF_ASIO_CANCELS
      return self.get_cancellation_state().cancelled() != net::cancellation_type::none;
#else
      static_cast<void>(self);
      return false;
#endif
    }
  };

  template <class Signature, class There, class Complete, class Token>
  auto start(There there, Complete complete, Token&& token) {
    return net::async_compose<Token, Signature>(
        Operation<There, Complete>{state_, std::move(there), std::move(complete)}, token, state_->descriptor.asio);
  }

  std::shared_ptr<State> state_;
};

#undef MEMIF_ASIO_CANCELS
}  // namespace
}  // namespace memif::on_asio
