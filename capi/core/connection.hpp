// An interface as the C API has it: its queues with what the API keeps for each, and its callbacks.
#pragma once

#include <atomic>
#include <cstring>
#include <span>
#include <string>

#include <memif/context.hpp>

#include "instance.hpp"
#include "queue_lock.hpp"

namespace memif::capi {

// What buffers name as their queue: one of these.
//
// A program has buffers of a link until it hears that the link has gone: by on_disconnect on the thread that uses the
// queue, or by a call of that thread which says so and does nothing else. The queue keeps the former link for as long.
struct QueueState {
  QueueLock lock;
  std::atomic<const void*> user{nullptr};  // the thread that took or allocated last
  std::uint32_t epoch = 0;                 // of the link that the rest is about
  bool lost = false;                       // buffers of a former link, of which the program has not heard

  bool is_used_here() const noexcept { return detail::is_this_thread(user.load(std::memory_order_relaxed)); }
};

// Each on lines of its own: other queues' threads are not to wait for them.
struct alignas(128) RxState : QueueState {
  RawRx* queue = nullptr;
  bool quiet = false;   // polling: whatever was signalled before is consumed
  std::size_t had = 0;  // buffers taken and not refilled
};

struct alignas(128) TxState : QueueState {
  RawTx* queue = nullptr;
  std::uint16_t had = 0;  // buffers shown to the program and not yet sent, from the next slot on
  bool chains = false;    // whether there are any in what was shown last
};

// A new link has new buffers: the program has none of it yet. True if there is one since the last call.
template <class State>
bool forget_former_link(State& state) noexcept {
  const std::uint32_t epoch = state.queue->epoch();
  if (state.epoch == epoch) [[likely]]
    return false;
  state.epoch = epoch;
  state.lost = state.lost || state.had != 0;
  state.had = 0;
  return true;
}

// Where the queue has a former link: whether the call may go on, which ends it.
template <class State>
[[gnu::noinline, gnu::cold]] bool has_heard(State& state) noexcept {
  if (std::exchange(state.lost, false)) return false;
  state.queue->drop_former_link();
  return true;
}

// Begins a call of the thread that uses the queue. False: there is no link; or the thread has buffers of one that has
// gone, and is to be told.
template <class State>
bool use(State& state) noexcept {
  state.user.store(detail::this_thread(), std::memory_order_relaxed);
  const bool up = state.queue->renew();
  forget_former_link(state);
  return (!state.queue->has_former_link() || has_heard(state)) && up;
}

struct Arguments {
  std::string socket;
  std::string_view secret, name;
  std::uint8_t s2m_rings = 0, m2s_rings = 0;
  std::uint16_t buffer_size = 0;
  std::uint8_t log2_ring_size = 0;
  bool server = false;
  std::uint32_t id = 0;
  unsigned mode = 0;
  void* socket_handle = nullptr;
  bool posts_untouched = false;  // Generation
};

// C programs may put any number into an enum: it is checked here, so reading it is no error.
#define MEMIF_READS_ANY_ENUM __attribute__((no_sanitize("enum")))

// Zero means the default, and programs read it from their arguments afterwards.
template <class Args>
void fill_in_defaults(Args& args) {
  if (args.num_s2m_rings == 0) args.num_s2m_rings = 1;
  if (args.num_m2s_rings == 0) args.num_m2s_rings = 1;
  if (args.buffer_size == 0) args.buffer_size = 2048;
  if (args.log2_ring_size == 0) args.log2_ring_size = 10;
}

// The members of memif_conn_args_t that all generations have. The result refers to `from`.
template <class From>
MEMIF_READS_ANY_ENUM Arguments common_arguments(From& from) {
  fill_in_defaults(from);
  const auto text = [](const auto& field) {
    const auto* const chars = reinterpret_cast<const char*>(field);
    return std::string_view(chars, ::strnlen(chars, sizeof field));
  };
  Arguments to;
  to.secret = text(from.secret);
  to.name = text(from.interface_name);
  to.s2m_rings = from.num_s2m_rings;
  to.m2s_rings = from.num_m2s_rings;
  to.buffer_size = from.buffer_size;
  to.log2_ring_size = from.log2_ring_size;
  to.server = from.is_master != 0;
  to.id = from.interface_id;
  to.mode = static_cast<unsigned>(from.mode);
  return to;
}

struct Callbacks {
  int (*on_connect)(void* connection, void* context) = nullptr;
  int (*on_disconnect)(void* connection, void* context) = nullptr;
  int (*on_interrupt)(void* connection, void* context, std::uint16_t queue) = nullptr;
  void* context = nullptr;
};

// For whoever has the instance's turn, except create(), remove() and request(), which take it, and what the data calls
// and details use: rx(), tx(), down_code(), interface().
class Connection {
  [[maybe_unused]] void* none_ = nullptr;  // the first word: memif_delete (handle), without the &, finds no connection

 public:
  // Fills `handle` before anything can call back.
  static Code create(void** handle, Instance* instance, const Arguments& arguments,
                     const Callbacks& callbacks) noexcept;

  // The handle is null afterwards.
  static Code remove(void** handle) noexcept;
  void destroy() noexcept;

  Code request() noexcept;
  bool wants_connection() const noexcept { return client_ && !up_; }
  void retry() noexcept;
  int interrupt(std::uint16_t queue) noexcept {
    return call([this, of = callbacks_, queue] { return of.on_interrupt(this, of.context, queue); });
  }

  RxState* rx(std::uint16_t index) noexcept { return index < rx_count_ ? &rx_[index] : nullptr; }
  TxState* tx(std::uint16_t index) noexcept { return index < tx_count_ ? &tx_[index] : nullptr; }
  // The queue that a buffer names, or nothing if the buffer names anything else.
  RxState* rx(const void* state) noexcept { return find(rx_.begin(), rx_count_, state); }
  TxState* tx(const void* state) noexcept { return find(tx_.begin(), tx_count_, state); }

  // Why a queue that exists has no link.
  Code down_code(bool receive, std::uint16_t queue) const noexcept {
    const auto& rings = receive ? rx_rings_ : tx_rings_;
    const std::uint16_t count = rings.load(std::memory_order_relaxed);
    return count != 0 && queue >= count ? Code::qid : Code::disconnected;
  }

  bool connected() const noexcept { return rx_rings_ + tx_rings_ != 0; }
  Code event_fd(std::uint16_t queue, int* fd) noexcept;

  bool client() const noexcept { return client_; }
  std::uint16_t buffer_size() const noexcept { return buffer_size_; }
  // Where the program wants its next buffer, if it says so itself.
  auto offset_callback() const noexcept { return offset_; }
  void* context() const noexcept { return callbacks_.context; }
  Instance& instance() const noexcept { return instance_; }
  Interface& interface() const noexcept { return *interface_; }
  void* socket_handle() const noexcept { return socket_handle_; }

 private:
  Connection(Instance& instance, const Arguments& arguments, const Callbacks& callbacks);
  ~Connection();
  void add(const Arguments& arguments);
  std::shared_ptr<const MemoryHooks> memory_hooks() const;
  void came_up(Interface& interface);
  void went_down();
  void has_told() noexcept;
  void unwatch() noexcept;
  void post_untouched(const InterfaceInfo& link) noexcept;
  bool call(int (*callback)(void* connection, void* context)) noexcept;
  template <class Callback>
  int call(Callback callback, bool* there = nullptr) noexcept;
  void await_callbacks() noexcept;

  template <class State>
  static State* find(State* states, std::uint16_t count, const void* wanted) noexcept {
    const auto offset = reinterpret_cast<std::uintptr_t>(wanted) - reinterpret_cast<std::uintptr_t>(states);
    return offset < count * sizeof(State) && offset % sizeof(State) == 0 ? states + offset / sizeof(State) : nullptr;
  }

  Instance& instance_;
  const Callbacks callbacks_;
  void* const socket_handle_;
  const bool client_;
  const bool posts_untouched_;
  const std::uint16_t buffer_size_;
  std::uint32_t (*const offset_)(void* context);
  Interface* interface_ = nullptr;
  AlignedArray<RxState> rx_;
  AlignedArray<TxState> tx_;
  AlignedArray<int> watched_;  // event descriptors of the receive queues that are watched, or -1
  std::uint16_t rx_count_ = 0, tx_count_ = 0;
  std::atomic<std::uint16_t> rx_rings_{0}, tx_rings_{0};  // of the present link
  bool up_ = false;
  bool going_ = false;

  // A callback under way, on the stack of the thread that it is on; of nothing once that thread has ended `of` in it.
  struct Call {
    Connection* of;
    Call* outer;
  };
  static thread_local Call* innermost_;
  std::atomic<int> calls_{0};  // on all threads
};

// The connection may be gone afterwards; `there` says.
template <class Callback>
int Connection::call(Callback callback, bool* there) noexcept {
  Call call{this, innermost_};
  innermost_ = &call;
  calls_.fetch_add(1, std::memory_order_relaxed);
  const int result = instance_.outside(callback);
  innermost_ = call.outer;
  if (there != nullptr) *there = call.of != nullptr;
  if (call.of != nullptr) {
    calls_.fetch_sub(1, std::memory_order_relaxed);
    calls_.notify_all();
  }
  return result;
}

}  // namespace memif::capi
