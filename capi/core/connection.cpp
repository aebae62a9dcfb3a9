#include "connection.hpp"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <string_view>

namespace memif::capi {
namespace {

constexpr std::uint8_t max_log2_ring_size = 14;

// A connection attempt that finds nobody is the usual case before a peer starts.
Code connect_code(const Error& error) {
  const Code code = fail(error);
  return code == Code::no_file || code == Code::again ? Code::connrefused : code;
}

// The API has no word for it, so whoever starts a program says it. Throws where that is no size.
void limit_peer_memory(InterfaceConfig& config) {
  constexpr const char* name = "MEMIF_MAX_PEER_MEMORY";
  const char* const wanted = ::secure_getenv(name);
  if (wanted == nullptr || *wanted == '\0') return;
  const std::string_view text = wanted;
  std::uint64_t size = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  constexpr std::string_view units = "KMG";
  const std::size_t unit = rest != text.data() + text.size() ? units.find(*rest) + 1 : 0;
  const bool whole = rest + (unit != 0 ? 1 : 0) == text.data() + text.size();
  if (error != std::errc{} || !whole || size > UINT64_MAX >> (10 * unit))
    throw Exception(Error{Errc::invalid_config, std::string(name) + " " + wanted + ": is not a size such as 64M"});
  config.max_peer_memory = size << (10 * unit);
}

}  // namespace

thread_local Connection::Call* Connection::innermost_ = nullptr;

Connection::Connection(Instance& instance, const Arguments& arguments, const Callbacks& callbacks)
    : instance_(instance),
      callbacks_(callbacks),
      socket_handle_(arguments.socket_handle),
      client_(!arguments.server),
      posts_untouched_(client_ && arguments.posts_untouched),
      buffer_size_(arguments.buffer_size),
      offset_(client_ ? instance.regions().get_offset : nullptr) {}

Connection::~Connection() {
  const Memory& memory = instance_.memory();
  rx_.release(memory);
  tx_.release(memory);
  watched_.release(memory);
}

// The hooks may be called when the connection is gone: they hold what they need.
std::shared_ptr<const MemoryHooks> Connection::memory_hooks() const {
  const RegionCallbacks& of = instance_.regions();
  void* const context = callbacks_.context;
  if (client_ ? of.add == nullptr : of.get_address == nullptr) return nullptr;
  auto hooks = std::make_shared<MemoryHooks>();
  if (client_) {
    hooks->provide = [add = of.add, context](std::uint64_t bytes) {
      void* address = nullptr;
      int fd = -1;
      if (add(&address, static_cast<std::uint32_t>(bytes), &fd, context) != 0) address = nullptr;
      return MemoryHooks::Mapped{static_cast<std::byte*>(address), fd};
    };
    hooks->placed = of.get_offset != nullptr;
  } else {
    hooks->map = [get = of.get_address, context](std::uint64_t bytes, int fd) {
      void* const address = bytes <= UINT32_MAX ? get(static_cast<std::uint32_t>(bytes), fd, context) : nullptr;
      return address != reinterpret_cast<void*>(-1) ? static_cast<std::byte*>(address) : nullptr;  // MAP_FAILED
    };
  }
  if (of.remove != nullptr)
    hooks->release = [remove = of.remove, context](std::byte* data, std::uint64_t bytes, int fd) {
      remove(data, static_cast<std::uint32_t>(bytes), fd, context);
    };
  return hooks;
}

template <class State, class Raw>
void attach(State& state, Raw& queue) noexcept {
  queue.keep_former_link();
  state.queue = &queue;
}

// Throws what prevents it.
void Connection::add(const Arguments& arguments) {
  const Memory& memory = instance_.memory();
  InterfaceConfig config;
  config.socket = arguments.socket;
  config.id = arguments.id;
  config.role = client_ ? Role::client : Role::server;
  config.mode = static_cast<Mode>(arguments.mode);
  config.secret = arguments.secret;
  config.name = arguments.name;
  config.rx_queues = client_ ? arguments.m2s_rings : arguments.s2m_rings;
  config.tx_queues = client_ ? arguments.s2m_rings : arguments.m2s_rings;
  config.ring_size = 1u << arguments.log2_ring_size;
  config.buffer_size = buffer_size_;
  config.rx_mode = RxMode::interrupt;
  config.reconnect = std::chrono::milliseconds(0);  // the instance's timer does that
  config.post_buffers = false;                      // memif_refill_queue() does that
  config.memory_hooks = memory_hooks();
  limit_peer_memory(config);
  config.on_connected = [this](Interface& interface) { came_up(interface); };
  config.on_disconnected = [this](Interface&, const Reason&) {
    if (!going_) went_down();
  };

  rx_.make(memory, config.rx_queues);
  tx_.make(memory, config.tx_queues);
  watched_.make(memory, config.rx_queues);
  for (std::size_t i = 0; i < config.rx_queues; ++i) watched_[i] = -1;
  instance_.add(*this);
  const std::uint16_t rx = config.rx_queues, tx = config.tx_queues;
  interface_ = &instance_.context().add(std::move(config));
  for (std::uint16_t i = 0; i < rx; ++i) attach(rx_[i], interface_->rx(i).raw());
  for (std::uint16_t i = 0; i < tx; ++i) attach(tx_[i], interface_->tx(i).raw());
  rx_count_ = rx;
  tx_count_ = tx;
}

Code Connection::create(void** handle, Instance* instance, const Arguments& arguments,
                        const Callbacks& callbacks) noexcept {
  if (*handle != nullptr) return Code::conn;
  if (instance == nullptr) return Code::inval_arg;
  if (arguments.log2_ring_size > max_log2_ring_size) return Code::max_ring;
  const Instance::Turn turn(*instance);
  Connection* connection = nullptr;
  Code code = guarded([&] {
    connection = new (instance->memory().allocate(sizeof(Connection))) Connection(*instance, arguments, callbacks);
    *handle = connection;
    Context& context = instance->context();
    if (arguments.server && context.listener_fd(arguments.socket) >= 0) {
      for (std::size_t i = 0; i < instance->connections(); ++i) {
        const Connection& other = *instance->connection(i);
        const InterfaceConfig& config = other.interface_->config();
        if (!other.client_ && config.id == arguments.id && config.socket == arguments.socket) return Code::id;
      }
    }
    connection->add(arguments);
    return Code::success;
  });
  if (instance->callback_failed()) code = Code::cb_fdupdate;
  if (code != Code::success) {
    *handle = nullptr;
    if (connection != nullptr) connection->destroy();
  }
  instance->requests_changed();
  return code;
}

Code Connection::remove(void** handle) noexcept {
  auto* const connection = static_cast<Connection*>(*handle);
  const Instance::Turn turn(connection->instance_);
  if (connection->going_) return Code::already;  // in the on_disconnect of its own end
  return guarded([&] {
    connection->destroy();
    *handle = nullptr;
    return Code::success;
  });
}

// A peer that is there is told, and so is the program, before anything is closed.
void Connection::destroy() noexcept {
  if (going_) return;
  going_ = true;
  await_callbacks();
  instance_.remove(*this);
  if (up_) went_down();
  if (interface_ != nullptr) instance_.context().remove(*interface_);
  instance_.requests_changed();
  for (Call* call = innermost_; call != nullptr; call = call->outer)
    if (call->of == this) call->of = nullptr;
  const Memory memory = instance_.memory();
  this->~Connection();
  memory.release(this);
}

void Connection::came_up(Interface& interface) {
  const InterfaceInfo info = interface.info();
  if (callbacks_.on_interrupt != nullptr) {
    for (const RingInfo& ring : info.rx) {
      if (!instance_.watch_queue(ring.event_fd, *this, ring.queue)) {
        interface.disconnect("the program cannot watch its interrupt");
        return;
      }
      watched_[ring.queue] = ring.event_fd;
    }
  }
  rx_rings_.store(static_cast<std::uint16_t>(info.rx.size()), std::memory_order_relaxed);
  tx_rings_.store(static_cast<std::uint16_t>(info.tx.size()), std::memory_order_relaxed);
  up_ = true;
  instance_.requests_changed();
  if (call(callbacks_.on_connect) && posts_untouched_) post_untouched(info);
}

// For programs that have no call of memif_refill_queue before they receive. Where on_connect has posted buffers, how
// many and with which headroom, it stays as it is.
void Connection::post_untouched(const InterfaceInfo& link) noexcept {
  for (const RingInfo& ring : link.rx) {
    RxState& state = rx_[ring.queue];
    const std::lock_guard guard(state.lock);
    if (state.queue->renew() && state.queue->held() == ring.ring_size) state.queue->release(ring.ring_size, 0);
  }
}

// Of a link that the program was never told of, it is not told the end.
void Connection::went_down() {
  const bool told = std::exchange(up_, false);
  rx_rings_.store(0, std::memory_order_relaxed);
  tx_rings_.store(0, std::memory_order_relaxed);
  unwatch();
  if (!going_) instance_.requests_changed();
  if (told && callbacks_.on_disconnect != nullptr && call(callbacks_.on_disconnect)) has_told();
}

// The program knows, on this thread, that what it has is no more.
void Connection::has_told() noexcept {
  const auto tell = [](auto& state) {
    if (!state.is_used_here()) return;
    const std::lock_guard guard(state.lock);
    state.lost = false;
    state.had = 0;
  };
  for (std::uint16_t i = 0; i < rx_count_; ++i) tell(rx_[i]);
  for (std::uint16_t i = 0; i < tx_count_; ++i) tell(tx_[i]);
}

bool Connection::call(int (*callback)(void*, void*)) noexcept {
  bool there = true;
  if (callback != nullptr)
    call([this, callback, context = callbacks_.context] { return callback(this, context); }, &there);
  return there;
}

// Of other threads, which a child of fork() does not have. Whoever deletes a connection may free what its callbacks
// use.
void Connection::await_callbacks() noexcept {
  if (instance_.inherited()) return;
  int own = 0;
  for (const Call* call = innermost_; call != nullptr; call = call->outer) own += call->of == this ? 1 : 0;
  for (int calls; (calls = calls_.load(std::memory_order_relaxed)) != own;)
    instance_.outside([this, calls] {
      calls_.wait(calls, std::memory_order_relaxed);
      return 0;
    });
}

void Connection::unwatch() noexcept {
  for (std::uint16_t i = 0; i < rx_count_; ++i)
    if (const int fd = std::exchange(watched_[i], -1); fd >= 0) instance_.unwatch_queue(fd);
}

void Connection::retry() noexcept {
  if (!wants_connection() || interface_ == nullptr) return;
  static_cast<void>(guarded([this] {
    static_cast<void>(interface_->try_connect());
    return Code::success;
  }));
}

Code Connection::request() noexcept {
  const Instance::Turn turn(instance_);
  return guarded([this] {
    if (up_) return Code::alrconn;
    if (!client_) return Code::success;  // it listens anyway
    const Status tried = interface_->try_connect();
    if (instance_.callback_failed()) return Code::cb_fdupdate;
    if (tried) return Code::success;
    return const_cast<Status&>(tried).error().code == Errc::already_connected
               ? Code::alrconn
               : connect_code(const_cast<Status&>(tried).error());
  });
}

Code Connection::event_fd(std::uint16_t queue, int* fd) noexcept {
  *fd = -1;
  RxState* const state = rx(queue);
  if (state == nullptr) return Code::qid;
  *fd = state->queue->event_fd();
  return *fd >= 0 ? Code::success : down_code(true, queue);
}

}  // namespace memif::capi
