// The adapter to Qt.
#include <QCoreApplication>  // first: its macros must not hurt ours

#include <memif/adapters/qt.hpp>

#include "callbacks.hpp"

namespace memif::test {
namespace {

QCoreApplication& application() {
  static int argc = 1;
  static char name[] = "qt_test";
  static char* argv[] = {name, nullptr};
  static QCoreApplication one(argc, argv);
  return one;
}

struct Qt {
  using Driver = on_qt::Driver;
  using Receiver = on_qt::Receiver;

  Qt() { application(); }
  ~Qt() { QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete); }
  Qt(const Qt&) = delete;
  Qt& operator=(const Qt&) = delete;
  void turn() {
    QCoreApplication::processEvents();
    QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
  }
  auto drive(Context& context) { return std::make_unique<Driver>(context); }
  auto receive(std::shared_ptr<RxQueue> queue, Receiver::OnPackets call) {
    return std::make_unique<Receiver>(std::move(queue), std::move(call));
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Qt, CallbackAdapter, Qt);

}  // namespace
}  // namespace memif::test
