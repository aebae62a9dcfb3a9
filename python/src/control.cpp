#include "control.hpp"

#include <algorithm>
#include <csignal>
#include <pthread.h>
#include <utility>

namespace memif_python {

namespace {

// The control threads that run. Nothing of them may call Python when the interpreter ends.
class Threads {
 public:
  bool enter(const std::shared_ptr<ContextCore>& core) {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    std::erase_if(cores_, [](const auto& weak) { return weak.expired(); });
    cores_.push_back(core);
    ++running_;
    return true;
  }
  void leave() noexcept {
    const std::lock_guard lock(mutex_);
    --running_;
  }
  // Asks all to end; whether they have.
  bool end_all() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const auto& weak : cores_)
      if (const auto core = weak.lock()) core->ask_to_stop();
    return running_ == 0;
  }
  // A child of fork() has the list and none of the threads, and the mutex as it was.
  static Threads& of_this_process() {
    static std::atomic<Threads*> threads{new Threads};
    static std::atomic<unsigned> generation{process_generation()};
    if (generation.load() != process_generation()) {
      generation = process_generation();
      threads = new Threads;
    }
    return *threads;
  }

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<ContextCore>> cores_;
  std::size_t running_ = 0;
  bool closed_ = false;
};

[[noreturn]] void throw_closed(const char* what) {
  throw memif::Exception({memif::Errc::closed, std::string(what) + " is closed"});
}

}  // namespace

// --- ContextCore ---

ContextCore::ContextCore(memif::ContextConfig config) : context_(std::make_unique<memif::Context>(std::move(config))) {}

ContextCore::~ContextCore() {
  if (inherited()) static_cast<void>(context_.release());  // the parent's peers are to notice nothing
}

std::shared_ptr<ContextCore> ContextCore::start(memif::ContextConfig config) {
  std::shared_ptr<ContextCore> core(new ContextCore(std::move(config)));
  Threads& threads = Threads::of_this_process();
  if (!threads.enter(core)) throw std::runtime_error("the interpreter is ending");
  // Signals are for the threads of the program.
  sigset_t all, before;
  ::sigfillset(&all);
  for (const int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT}) ::sigdelset(&all, fault);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([core, &threads]() mutable {
      ::pthread_setname_np(::pthread_self(), "memif-control");
      core->loop();
      core.reset();
      threads.leave();
    }).detach();
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    threads.leave();
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  // The thread has a reference of its own. When this one goes, with all its copies, nobody needs the thread any more.
  ContextCore* const at = core.get();
  return {at, [core = std::move(core)](ContextCore*) { core->ask_to_stop(); }};
}

std::deque<ContextCore::Task> ContextCore::take_tasks() {
  const std::lock_guard lock(mutex_);
  return std::exchange(tasks_, {});
}

void ContextCore::loop() noexcept {
  thread_ = std::this_thread::get_id();
  while (!stopping()) {
    for (Task& task : take_tasks()) task(*context_);
    if (stopping()) break;
    try {
      context_->poll(std::chrono::milliseconds(-1));
    } catch (const std::exception&) {  // out of memory, in the middle of some peer's handshake
    }
  }
  for (const auto& weak : std::exchange(interfaces_, {}))
    if (const auto interface = weak.lock()) interface->detach();
  context_.reset();
  take_tasks().clear();  // whoever waits for one is told by its end
  stopped_.set();
}

// What run() waits for. It lives in the task: when that is dropped without having run, the end is told just the same.
struct ContextCore::Request {
  struct Outcome {
    Event done;
    std::exception_ptr error = nullptr;
    std::atomic<bool> ran{false};
  };
  std::shared_ptr<Outcome> outcome = std::make_shared<Outcome>();
  Task task;

  explicit Request(Task what) : task(std::move(what)) {}
  Request(const Request&) = delete;
  ~Request() { outcome->done.set(); }
  void operator()(memif::Context& context) noexcept {
    try {
      task(context);
    } catch (...) {
      outcome->error = std::current_exception();
    }
    outcome->ran = true;
    outcome->done.set();
  }
};

void ContextCore::run(Task task) {
  check_process();
  if (stopping()) throw_closed("the context");
  if (on_control_thread()) return task(*context_);
  auto request = std::make_shared<Request>(std::move(task));
  const std::shared_ptr<Request::Outcome> outcome = request->outcome;
  post([request](memif::Context& context) { (*request)(context); });
  request.reset();
  wait_readable(outcome->done.fd(), Deadline(py::none()));
  if (!outcome->ran) throw_closed("the context");
  if (outcome->error) std::rethrow_exception(outcome->error);
}

void ContextCore::post(Task task) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (stopping()) return;
    tasks_.push_back(std::move(task));
    context_->wake();
  }
}

void ContextCore::ask_to_stop() noexcept {
  if (inherited()) return;
  const std::lock_guard lock(mutex_);
  if (!stopping_.exchange(true)) context_->wake();
}

void ContextCore::stop() {
  if (inherited()) return;
  ask_to_stop();
  if (!on_control_thread()) wait_readable(stopped_.fd(), Deadline(py::none()));
}

void ContextCore::stop_all() {
  Threads& threads = Threads::of_this_process();
  while (!threads.end_all()) nap(std::chrono::milliseconds(1));
}

// --- InterfaceCore ---

InterfaceCore::InterfaceCore(std::shared_ptr<ContextCore> context, Callbacks callbacks)
    : context_(std::move(context)),
      on_connected_(std::move(callbacks.connected)),
      on_disconnected_(std::move(callbacks.disconnected)),
      on_refused_(std::move(callbacks.refused)) {}

std::shared_ptr<InterfaceCore> InterfaceCore::add(std::shared_ptr<ContextCore> context, memif::InterfaceConfig config,
                                                  Callbacks callbacks) {
  std::shared_ptr<InterfaceCore> core(new InterfaceCore(std::move(context), std::move(callbacks)));
  config.on_connected = [weak = core->weak_from_this()](memif::Interface&) {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->up_.store(true, std::memory_order_release);
    self->notify();
    self->call(self->on_connected_.get(), nullptr);
  };
  config.on_disconnected = [weak = core->weak_from_this()](memif::Interface&, const memif::Reason& reason) {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->up_.store(false, std::memory_order_release);
    self->notify();
    self->call(self->on_disconnected_.get(), &reason);
  };
  config.on_refused = [weak = core->weak_from_this()](memif::Interface&, const memif::Reason& reason) {
    if (const auto self = weak.lock()) self->call(self->on_refused_.get(), &reason);
  };
  // The caller may have gone, by a signal, when this runs.
  core->context_->run([core, wanted = std::move(config)](memif::Context& on) {
    memif::Interface& interface = on.add(wanted);
    const memif::InterfaceConfig& as_added = interface.config();
    for (std::size_t i = 0; i != as_added.rx_queues; ++i) core->rx_.push_back(interface.share_rx(i));
    for (std::size_t i = 0; i != as_added.tx_queues; ++i) core->tx_.push_back(interface.share_tx(i));
    core->config_ = as_added;
    core->config_.on_connected = nullptr;
    core->config_.on_disconnected = nullptr;
    core->config_.on_refused = nullptr;
    core->interface_ = &interface;
    std::erase_if(core->context_->interfaces_, [](const auto& weak) { return weak.expired(); });
    core->context_->interfaces_.push_back(core);
  });
  return core;
}

InterfaceCore::~InterfaceCore() {
  if (inherited()) {
    for (auto& queue : rx_) new std::shared_ptr<memif::RxQueue>(std::move(queue));
    for (auto& queue : tx_) new std::shared_ptr<memif::TxQueue>(std::move(queue));
    return;
  }
  if (interface_ != nullptr)
    context_->post([interface = interface_](memif::Context& context) { context.remove(*interface); });
}

// Closed first, so that whoever is woken sees it.
void InterfaceCore::detach() noexcept {
  {
    const std::lock_guard lock(mutex_);
    interface_ = nullptr;
    up_.store(false, std::memory_order_release);
    closed_.store(true, std::memory_order_release);
  }
  notify();
}

void InterfaceCore::close() {
  if (inherited() || closed() || context_->stopping()) return;
  context_->run([self = shared_from_this()](memif::Context& context) {
    memif::Interface* const interface = self->interface_;
    self->detach();
    if (interface != nullptr) context.remove(*interface);
  });
}

void InterfaceCore::check_open() const {
  check_process();
  if (closed()) throw_closed("the interface");
}

bool InterfaceCore::wait_connected(const Deadline& deadline) {
  check_open();
  if (context_->on_control_thread()) throw std::runtime_error("a callback cannot wait for its own context");
  const std::shared_ptr<Event> event = watch();
  while (!connected()) {
    check_open();
    if (!wait_readable(event->fd(), deadline)) return connected();
    event->clear();
  }
  return true;
}

void InterfaceCore::connect() {
  check_open();
  context_->run([self = shared_from_this()](memif::Context&) {
    if (self->interface_ == nullptr) return;
    memif::Status status = self->interface_->try_connect();
    if (!status && status.error().code != memif::Errc::already_connected) throw memif::Exception(status.error());
  });
}

void InterfaceCore::disconnect(const std::string& why) {
  check_open();
  context_->run([self = shared_from_this(), why](memif::Context&) {
    if (self->interface_ != nullptr) self->interface_->disconnect(why);
  });
}

memif::InterfaceInfo InterfaceCore::info() {
  check_open();
  const std::lock_guard lock(mutex_);
  if (interface_ == nullptr) throw_closed("the interface");
  return interface_->info();
}

std::shared_ptr<Event> InterfaceCore::watch() {
  auto event = std::make_shared<Event>();
  const std::lock_guard lock(mutex_);
  std::erase_if(watches_, [](const auto& weak) { return weak.expired(); });
  watches_.push_back(event);
  return event;
}

void InterfaceCore::notify() noexcept {
  const std::lock_guard lock(mutex_);
  for (const auto& weak : watches_)
    if (const auto event = weak.lock()) event->set();
}

// The callbacks of a program that is ending, or of a context that is, are not called.
void InterfaceCore::call(const py::object& callback, const memif::Reason* reason) noexcept {
  if (callback.is_none() || context_->stopping()) return;
  const Gil gil;
  try {
    if (reason == nullptr)
      callback();
    else
      callback(to_python(*reason));
  } catch (py::error_already_set& error) {
    error.restore();
    PyErr_WriteUnraisable(callback.ptr());
  } catch (const std::exception&) {  // out of memory
  }
}

}  // namespace memif_python
