// A context and its queues in a loop of libsystemd (sd-event).
//
//   memif::on_sd_event::Driver driver(event, context);
//   memif::on_sd_event::Receiver receiver(event, port.share_rx(0), [&](memif::RxQueue& rx) { ... });
//
// Coroutines that wait by memif/coroutine.hpp need a Driver only.
#pragma once

#include <memory>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include <memif/adapters/callbacks.hpp>
#include <memif/error.hpp>

namespace memif::on_sd_event {

class Watch {
 public:
  Watch(sd_event* loop, int fd, const std::shared_ptr<adapters::Readable>& readable) {
    sd_event_source* source = nullptr;
    const int error = sd_event_add_io(loop, &source, fd, EPOLLIN, ready, readable.get());
    if (error < 0) throw Exception(system_error(-error, "sd-event cannot watch a descriptor"));
    source_.reset(source);
  }

 private:
  struct Free {
    void operator()(sd_event_source* source) const noexcept { sd_event_source_disable_unref(source); }
  };
  static int ready(sd_event_source*, int, std::uint32_t, void* readable) {
    adapters::Readable::call(readable);
    return 0;
  }

  std::unique_ptr<sd_event_source, Free> source_;
};

using Driver = adapters::Driver<Watch, sd_event*>;
using Receiver = adapters::Receiver<Watch, sd_event*>;

}  // namespace memif::on_sd_event
