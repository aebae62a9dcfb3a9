// A context and its queues in a loop of libevent 2.
//
//   memif::on_libevent::Driver driver(base, context);
//   memif::on_libevent::Receiver receiver(base, port.share_rx(0), [&](memif::RxQueue& rx) { ... });
//
// The event_base must outlive them. Coroutines that wait by memif/coroutine.hpp need a Driver only.
#pragma once

#include <event2/event.h>
#include <memory>
#include <system_error>

#include <memif/adapters/callbacks.hpp>
#include <memif/error.hpp>

namespace memif::on_libevent {

class Watch {
 public:
  Watch(event_base* base, int fd, const std::shared_ptr<adapters::Readable>& readable)
      : event_(event_new(base, fd, EV_READ | EV_PERSIST, ready, readable.get())) {
    if (event_ == nullptr || event_add(event_.get(), nullptr) != 0)
      throw Exception(Error{std::make_error_code(std::errc::io_error), "libevent cannot watch a descriptor"});
  }

 private:
  struct Free {
    void operator()(event* watched) const noexcept { event_free(watched); }
  };
  static void ready(evutil_socket_t, short, void* readable) { adapters::Readable::call(readable); }

  std::unique_ptr<event, Free> event_;
};

using Driver = adapters::Driver<Watch, event_base*>;
using Receiver = adapters::Receiver<Watch, event_base*>;

}  // namespace memif::on_libevent
