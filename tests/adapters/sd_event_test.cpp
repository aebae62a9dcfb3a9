// The adapter to sd-event.
#include <memif/adapters/sd_event.hpp>

#include "callbacks.hpp"

namespace memif::test {
namespace {

struct SdEvent {
  using Driver = on_sd_event::Driver;
  using Receiver = on_sd_event::Receiver;

  SdEvent() { EXPECT_GE(sd_event_new(&loop), 0); }
  ~SdEvent() { sd_event_unref(loop); }
  SdEvent(const SdEvent&) = delete;
  SdEvent& operator=(const SdEvent&) = delete;
  void turn() { EXPECT_GE(sd_event_run(loop, 0), 0); }
  auto drive(Context& context) { return std::make_unique<Driver>(loop, context); }
  auto receive(std::shared_ptr<RxQueue> queue, Receiver::OnPackets call) {
    return std::make_unique<Receiver>(loop, std::move(queue), std::move(call));
  }

  sd_event* loop = nullptr;
};

INSTANTIATE_TYPED_TEST_SUITE_P(SdEvent, CallbackAdapter, SdEvent);

}  // namespace
}  // namespace memif::test
