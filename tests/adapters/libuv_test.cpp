// The adapter to libuv.
#include <memif/adapters/libuv.hpp>

#include "callbacks.hpp"

namespace memif::test {
namespace {

struct Libuv {
  using Driver = on_libuv::Driver;
  using Receiver = on_libuv::Receiver;

  Libuv() { EXPECT_EQ(uv_loop_init(&loop), 0); }
  ~Libuv() {
    uv_run(&loop, UV_RUN_DEFAULT);  // closes what has ended
    EXPECT_EQ(uv_loop_close(&loop), 0);
  }
  void turn() { uv_run(&loop, UV_RUN_NOWAIT); }
  auto drive(Context& context) { return std::make_unique<Driver>(&loop, context); }
  auto receive(std::shared_ptr<RxQueue> queue, Receiver::OnPackets call) {
    return std::make_unique<Receiver>(&loop, std::move(queue), std::move(call));
  }

  uv_loop_t loop;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Libuv, CallbackAdapter, Libuv);

TEST(LibuvAdapter, TakesNoTwoReceiversOfAQueue) {
  Libuv libuv;
  Context context;
  const std::shared_ptr<RxQueue> rx = context.add(adapter_config()).share_rx(0);
  const auto first = libuv.receive(rx, [](RxQueue&) {});
  EXPECT_THROW(libuv.receive(rx, [](RxQueue&) {}), Exception);
}

}  // namespace
}  // namespace memif::test
