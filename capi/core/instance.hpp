// An instance: one context, with its descriptors in the program's event loop or in one of the library's.
#pragma once

#include <ctime>
#include <optional>

#include <memif/context.hpp>
#include <memif/detail/uncancelled.hpp>

#include "code.hpp"
#include "memory.hpp"
#include "request_timer.hpp"
#include "turn.hpp"
#include "watched.hpp"

namespace memif::capi {

// Bits of an event, as all generations count them.
inline constexpr unsigned fd_read = 1, fd_write = 2, fd_error = 4, fd_delete = 8, fd_modify = 16;

// What program callbacks for regions there are.
struct RegionCallbacks {
  int (*add)(void** address, std::uint32_t size, int* fd, void* context) = nullptr;
  void* (*get_address)(std::uint32_t size, int fd, void* context) = nullptr;
  int (*remove)(void* address, std::uint32_t size, int fd, void* context) = nullptr;
  std::uint32_t (*get_offset)(void* context) = nullptr;
};

// For whoever has the turn (Turn), except create(), destroy(), handle(), poll() and cancel().
class Instance final : private EventLoop {
 public:
  // Tells the program of a descriptor, in the words of its generation. Negative: it cannot take it.
  using Tell = int (*)(const Instance& instance, int fd, unsigned events, void* token);
  using Function = void (*)();

  struct Setup {
    Memory memory{};
    Tell tell = nullptr;          // none: the library polls
    Function callback = nullptr;  // the program's, for `tell`
    void* context = nullptr;      // the program's
    std::string_view app_name{};
    itimerspec requests{};          // when those that are not connected try again
    bool interrupt_results = true;  // what on_interrupt returns, handle() and poll() return
  };
  static Code create(Instance*& made, const Setup& setup) noexcept;

  // For programs that keep a pointer to it, and may pass that where its address is wanted: the first word there is
  // null.
  void* handle() noexcept { return &handle_; }
  static Instance* of(void* handle) noexcept {
    return handle != nullptr ? static_cast<Handle*>(handle)->instance : nullptr;
  }

  // Ends all that is left on it. While another call is under way, as in a callback: takes effect at its end.
  void destroy() noexcept;

  // An event for one of its descriptors; what on_interrupt returned, if that was called.
  int handle(Watched* watched) noexcept;
  int handle(int fd) noexcept;

  // Waits in the library's own loop, milliseconds; negative: no limit. Not noexcept: the thread may be cancelled there.
  int poll(int timeout);
  bool polls() const noexcept { return tell_ == nullptr; }  // else the program does
  Code cancel() noexcept;

  Code set_request_timer(const itimerspec& timer) noexcept;

  // From a connection: one has come, gone, or gone up or down.
  void add(Connection& connection) { connections_.add(&connection); }
  void remove(Connection& connection) noexcept { connections_.remove(&connection); }
  void requests_changed() noexcept;
  Status watch_queue(int fd, Connection& connection, std::uint16_t queue);
  void unwatch_queue(int fd) noexcept { remove(fd); }

  bool inherited() const noexcept;  // through fork()

  // Whether the program's callback has failed since this was last asked.
  bool callback_failed() noexcept { return std::exchange(callback_failed_, false); }

  Context& context() noexcept { return *context_; }
  const Memory& memory() const noexcept { return memory_; }
  void* program_context() const noexcept { return program_context_; }
  Function callback() const noexcept { return callback_; }
  const char* app_name() const noexcept { return app_name_; }
  std::size_t connections() const noexcept { return connections_.size(); }
  Connection* connection(std::size_t index) const noexcept { return connections_[index]; }

  Bag<void>& sockets() noexcept { return sockets_; }  // generation 3: its socket handles; what is left goes last

  // The length of a call: it has the turn, and keeps the instance alive, which a callback may destroy. Nor does the
  // thread end within it, but where it sleeps: not in callbacks either.
  class Turn {
   public:
    explicit Turn(Instance& instance) noexcept : instance_(instance), taken_(instance.turn_.take()) {
      ++instance_.depth_;
    }
    ~Turn() {
      const bool last = --instance_.depth_ == 0 && instance_.doomed_;
      if (taken_) instance_.turn_.give();
      if (last) instance_.finish();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // Waits while others may have the turn, and the thread may be cancelled.
    template <class Function>
    int sleep(Function function) const {
      const TurnLock::Away away(instance_.turn_);
      const Uncancelled::Except cancellable(uncancelled_);
      return function();
    }

   private:
    const Uncancelled uncancelled_;
    Instance& instance_;
    const bool taken_;
  };

  // Calls the program, or waits for it, while others may have the turn. Afterwards only the instance is sure to be
  // there.
  template <class Function>
  int outside(Function function) noexcept {
    const TurnLock::Away away(turn_);
    return function();
  }

  void set_regions(const RegionCallbacks& callbacks) noexcept {
    const Turn turn(*this);
    regions_ = callbacks;
  }
  const RegionCallbacks& regions() const noexcept { return regions_; }

 private:
  struct Handle {
    void* none = nullptr;
    Instance* instance;
  };

  explicit Instance(const Setup& setup);
  ~Instance() override;
  void start();

  Status add(int fd, unsigned events) override;
  Status change(int fd, unsigned events) override;
  void remove(int fd) noexcept override;
  void set_timer(std::optional<Clock::time_point> when) noexcept override;

  Status watch(int fd, unsigned events, Connection* connection, std::uint16_t queue);
  int tell(int operation, const Watched& watched, unsigned events) noexcept;
  void finish() noexcept;
  int dispatch(Watched& watched) noexcept;
  void on_timer();
  void arm() noexcept;

  Memory memory_;
  Tell tell_;
  Function callback_;
  void* program_context_;
  char app_name_[33] = {};
  const bool interrupt_results_;
  const pid_t process_;

  Fd timer_, epoll_, cancel_;
  WatchedTable watched_;
  Bag<Connection> connections_;
  Bag<void> sockets_;
  RegionCallbacks regions_;
  RequestTimer requests_;
  std::optional<Clock::time_point> core_time_;
  std::optional<Context> context_;
  bool callback_failed_ = false;
  TurnLock turn_;
  bool doomed_ = false;
  int depth_ = 0;  // calls under way
  Handle handle_{.instance = this};
};

}  // namespace memif::capi
