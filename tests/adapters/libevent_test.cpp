// The adapter to libevent.
#include <memif/adapters/libevent.hpp>

#include "callbacks.hpp"

namespace memif::test {
namespace {

struct Libevent {
  using Driver = on_libevent::Driver;
  using Receiver = on_libevent::Receiver;

  Libevent() = default;
  ~Libevent() { event_base_free(base); }
  Libevent(const Libevent&) = delete;
  Libevent& operator=(const Libevent&) = delete;
  void turn() { event_base_loop(base, EVLOOP_NONBLOCK); }
  auto drive(Context& context) { return std::make_unique<Driver>(base, context); }
  auto receive(std::shared_ptr<RxQueue> queue, Receiver::OnPackets call) {
    return std::make_unique<Receiver>(base, std::move(queue), std::move(call));
  }

  event_base* base = event_base_new();
};

INSTANTIATE_TYPED_TEST_SUITE_P(Libevent, CallbackAdapter, Libevent);

}  // namespace
}  // namespace memif::test
