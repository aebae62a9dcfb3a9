// A context and its queues in a loop of libuv.
//
//   memif::on_libuv::Driver driver(uv_default_loop(), context);
//   memif::on_libuv::Receiver receiver(uv_default_loop(), port.share_rx(0), [&](memif::RxQueue& rx) { ... });
//
// Coroutines that wait by memif/coroutine.hpp need a Driver only. What a Driver or Receiver has of the loop is closed
// at the loop's next turn after its end: uv_loop_close() before that returns UV_EBUSY.
#pragma once

#include <memory>
#include <system_error>
#include <uv.h>

#include <memif/adapters/callbacks.hpp>
#include <memif/error.hpp>

namespace memif::on_libuv {

class Watch {
 public:
  Watch(uv_loop_t* loop, int fd, std::shared_ptr<adapters::Readable> readable) {
    auto handle = std::make_unique<Handle>();
    check(uv_poll_init(loop, &handle->poll, fd));
    handle->poll.data = handle.get();
    handle->readable = std::move(readable);
    handle_.reset(handle.release());  // the loop's, until it is closed
    check(uv_poll_start(&handle_->poll, UV_READABLE, ready));
  }

 private:
  struct Handle {
    uv_poll_t poll;
    std::shared_ptr<adapters::Readable> readable;
  };
  struct Close {
    void operator()(Handle* handle) const noexcept {
      uv_close(reinterpret_cast<uv_handle_t*>(&handle->poll),
               [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
    }
  };

  static void check(int error) {
    if (error != 0)
      throw Exception(Error{{-error, std::system_category()}, std::string("libuv: ") + uv_strerror(error)});
  }
  // libuv tells of errors by their number, and they are as good as readable: poll() and receive() find out.
  static void ready(uv_poll_t* poll, int, int) {
    adapters::Readable::call(static_cast<Handle*>(poll->data)->readable.get());
  }

  std::unique_ptr<Handle, Close> handle_;
};

using Driver = adapters::Driver<Watch, uv_loop_t*>;
using Receiver = adapters::Receiver<Watch, uv_loop_t*>;

}  // namespace memif::on_libuv
