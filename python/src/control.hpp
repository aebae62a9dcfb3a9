// Contexts and interfaces: a control thread for each context, and the way to it.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <memif/context.hpp>

#include "interpreter.hpp"

namespace memif_python {

class InterfaceCore;

// A memif::Context and the thread that polls it, which alone touches it. It ends by stop(), or when nobody has a
// reference that start() returned.
// Methods: with the GIL, unless they say otherwise.
class ContextCore : public OfThisProcess {
 public:
  using Task = std::function<void(memif::Context&)>;

  static std::shared_ptr<ContextCore> start(memif::ContextConfig config);
  ~ContextCore();

  // Runs the task on the control thread, waits for it and throws what it throws; at once if this is that thread.
  // Errc::closed after stop().
  void run(Task task);

  // Has the task run some time, unless the context ends before. It must not throw. Without the GIL, too.
  void post(Task task) noexcept;

  // Ends the context: its interfaces are closed, its thread is gone when this returns, unless this is that thread.
  void stop();
  // The same without waiting. Without the GIL, too.
  void ask_to_stop() noexcept;
  bool stopping() const noexcept { return stopping_.load(std::memory_order_acquire); }

  // For the end of the interpreter: stops every context of the process, and allows no new ones. Waits for callbacks
  // that have begun, as the interpreter does for threads: they could not go on without it.
  static void stop_all();

 private:
  friend class InterfaceCore;
  struct Request;

  explicit ContextCore(memif::ContextConfig config);
  bool on_control_thread() const noexcept { return std::this_thread::get_id() == thread_.load(); }
  void loop() noexcept;
  std::deque<Task> take_tasks();

  std::unique_ptr<memif::Context> context_;
  std::mutex mutex_;  // never held while anything is waited for
  std::deque<Task> tasks_;
  std::vector<std::weak_ptr<InterfaceCore>> interfaces_;  // of the control thread
  std::atomic<bool> stopping_{false};
  std::atomic<std::thread::id> thread_{};
  Event stopped_;
};

// A memif::Interface, from its adding until close(), the end of its context, or its last reference.
class InterfaceCore : public OfThisProcess, public std::enable_shared_from_this<InterfaceCore> {
 public:
  // The last two are called with a memif::Reason as Python has it. None: no callback.
  struct Callbacks {
    py::object connected, disconnected, refused;
  };
  static std::shared_ptr<InterfaceCore> add(std::shared_ptr<ContextCore> context, memif::InterfaceConfig config,
                                            Callbacks callbacks);
  ~InterfaceCore();

  void close();
  bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }
  void check_open() const;  // throws Errc::closed

  // Whether there is a link, and the queues have it.
  bool connected() const noexcept { return up_.load(std::memory_order_acquire); }
  bool wait_connected(const Deadline& deadline);
  void connect();
  void disconnect(const std::string& why);
  memif::InterfaceInfo info();

  const std::vector<std::shared_ptr<memif::RxQueue>>& rx() const noexcept { return rx_; }
  const std::vector<std::shared_ptr<memif::TxQueue>>& tx() const noexcept { return tx_; }
  const memif::InterfaceConfig& config() const noexcept { return config_; }

  // An event that is set whenever the link comes or goes, and when the interface is closed.
  std::shared_ptr<Event> watch();

 private:
  friend class ContextCore;

  InterfaceCore(std::shared_ptr<ContextCore> context, Callbacks callbacks);
  void notify() noexcept;
  void detach() noexcept;
  void call(const py::object& callback, const memif::Reason* reason) noexcept;

  const std::shared_ptr<ContextCore> context_;
  const AnyThreadRef on_connected_, on_disconnected_, on_refused_;
  std::mutex mutex_;
  memif::Interface* interface_ = nullptr;  // under the mutex; none once closed
  std::vector<std::weak_ptr<Event>> watches_;
  std::atomic<bool> up_{false}, closed_{false};
  std::vector<std::shared_ptr<memif::RxQueue>> rx_;
  std::vector<std::shared_ptr<memif::TxQueue>> tx_;
  memif::InterfaceConfig config_;
};

py::object to_python(const memif::Reason& reason);

}  // namespace memif_python
