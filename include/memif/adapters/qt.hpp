// A context and its queues in the event loop of a thread of Qt, 6 or 5: QtCore is enough.
//
//   memif::on_qt::Driver driver(context);
//   memif::on_qt::Receiver receiver(port.share_rx(0), [&](memif::RxQueue& rx) { ... });
//
// They are made, used and destroyed on the loop's thread. Coroutines that wait by memif/coroutine.hpp need a Driver
// only.
#pragma once

#include <QObject>
#include <QSocketNotifier>
#include <cstddef>
#include <memory>
#include <utility>

#include <memif/adapters/callbacks.hpp>

namespace memif::on_qt {

class Watch {
 public:
  Watch(std::nullptr_t, int fd, const std::shared_ptr<adapters::Readable>& readable)
      : notifier_(new QSocketNotifier(fd, QSocketNotifier::Read)) {
    QObject::connect(notifier_.get(), &QSocketNotifier::activated, notifier_.get(),
                     [kept = readable] { adapters::Readable::call(kept.get()); });
  }

 private:
  struct Delete {
    // Quiet at once, but it may be the one that calls.
    void operator()(QSocketNotifier* notifier) const {
      notifier->setEnabled(false);
      notifier->deleteLater();
    }
  };

  std::unique_ptr<QSocketNotifier, Delete> notifier_;
};

class Driver : public adapters::Driver<Watch, std::nullptr_t> {
 public:
  explicit Driver(Context& context) : adapters::Driver<Watch, std::nullptr_t>(nullptr, context) {}
};

class Receiver : public adapters::Receiver<Watch, std::nullptr_t> {
 public:
  Receiver(std::shared_ptr<RxQueue> queue, OnPackets on_packets)
      : adapters::Receiver<Watch, std::nullptr_t>(nullptr, std::move(queue), std::move(on_packets)) {}
};

}  // namespace memif::on_qt
