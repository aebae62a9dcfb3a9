// A context and its queues in a main loop of GLib.
//
//   memif::on_glib::Driver driver(nullptr, context);      // or a GMainContext
//   memif::on_glib::Receiver receiver(nullptr, port.share_rx(0), [&](memif::RxQueue& rx) { ... });
//
// Coroutines that wait by memif/coroutine.hpp need a Driver only.
#pragma once

#include <glib-unix.h>
#include <memory>

#include <memif/adapters/callbacks.hpp>

namespace memif::on_glib {

// nullptr is the default main context, as everywhere in GLib.
class Watch {
 public:
  Watch(GMainContext* loop, int fd, const std::shared_ptr<adapters::Readable>& readable)
      : source_(g_unix_fd_source_new(fd, G_IO_IN)) {
    g_source_set_callback(source_.get(), reinterpret_cast<GSourceFunc>(reinterpret_cast<void (*)()>(ready)),
                          readable.get(), nullptr);
    g_source_attach(source_.get(), loop);
  }

 private:
  struct Destroy {
    void operator()(GSource* source) const noexcept {
      g_source_destroy(source);
      g_source_unref(source);
    }
  };
  static gboolean ready(gint, GIOCondition, gpointer readable) {
    adapters::Readable::call(readable);
    return G_SOURCE_CONTINUE;  // no matter if it is destroyed
  }

  std::unique_ptr<GSource, Destroy> source_;
};

using Driver = adapters::Driver<Watch, GMainContext*>;
using Receiver = adapters::Receiver<Watch, GMainContext*>;

}  // namespace memif::on_glib
