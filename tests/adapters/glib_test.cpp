// The adapter to GLib.
#include <memif/adapters/glib.hpp>

#include "callbacks.hpp"

namespace memif::test {
namespace {

struct Glib {
  using Driver = on_glib::Driver;
  using Receiver = on_glib::Receiver;

  Glib() = default;
  ~Glib() { g_main_context_unref(loop); }
  Glib(const Glib&) = delete;
  Glib& operator=(const Glib&) = delete;
  void turn() { g_main_context_iteration(loop, FALSE); }
  auto drive(Context& context) { return std::make_unique<Driver>(loop, context); }
  auto receive(std::shared_ptr<RxQueue> queue, Receiver::OnPackets call) {
    return std::make_unique<Receiver>(loop, std::move(queue), std::move(call));
  }

  GMainContext* loop = g_main_context_new();
};

INSTANTIATE_TYPED_TEST_SUITE_P(Glib, CallbackAdapter, Glib);

}  // namespace
}  // namespace memif::test
