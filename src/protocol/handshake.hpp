// The handshake of both sides as state machines. docs/protocol.md, "Handshake".
//
// Nothing here does I/O, asks for the time or touches shared memory: messages and the time come in, actions come out.
// The host executes the actions of all calls in order. When one of them cannot be executed, the host drops what is
// left of them, calls abort() with the reason, and executes what abort() returns. A Down action is always the last;
// after it every call returns no actions.
//
// Not thread-safe: one thread at a time.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <memif/config.hpp>
#include <memif/error.hpp>

#include "protocol/message.hpp"

namespace memif::handshake {

using Clock = std::chrono::steady_clock;

struct RingSpec {
  bool s2m = false;
  std::uint16_t index = 0;
  std::uint16_t region = 0;
  std::uint32_t offset = 0;
  std::uint8_t log2_size = 0;
  friend bool operator==(const RingSpec&, const RingSpec&) = default;
};

enum class FdKind { none, region, s2m_ring, m2s_ring };

// Which of the host's descriptors goes with a message.
struct FdRef {
  FdKind kind = FdKind::none;
  std::uint16_t index = 0;
  friend bool operator==(const FdRef&, const FdRef&) = default;
};

struct Send {
  message::Message message;
  FdRef fd{};
};

// The end: leave the channel as leave() says. There is no deadline any more.
struct Down {
  Reason reason{};
};

// Call on_deadline() then, in place of any earlier deadline; nullopt: none any more.
struct Deadline {
  std::optional<Clock::time_point> when{};
};

// The link is up; the last action that has to do with it.
struct Up {
  std::string peer_interface_name{};
};

// Server: the connection now belongs to the interface of that id.
struct Admit {
  std::uint32_t id = 0;
  std::string app_name{};
  std::uint16_t version = 0;
};

// Server: check and map the descriptor that came with this message. The acknowledgement follows in the same list, so
// an abort() in its place is what the client hears instead.
struct MapRegion {
  std::uint16_t index = 0;
  std::uint64_t size = 0;
};

// Server: check and keep the eventfd that came with this message.
struct AttachRing {
  RingSpec ring{};
};

// Server: check the cookies and build the link. CONNECTED follows in the same list, as above.
struct Establish {};

// Client: make the memory, then call allocated().
struct Allocate {
  std::uint16_t s2m_rings = 0;
  std::uint16_t m2s_rings = 0;
  std::uint8_t log2_ring_size = 0;
  std::string peer_app_name{};
};

// Client: INIT has been sent; now the greeting may be taken out of the channel, where it was only looked at so far.
struct TakeGreeting {};

// How to leave the channel so that no peer comes to harm. docs/protocol.md, "Leaving".
enum class Leave : std::uint8_t {
  told,         // DISCONNECT, if there is something to say; then close
  unread,       // close without a word. What the peer sent is still in the channel, unless INIT has been sent
  when_greeted  // keep the channel until something is there to be left unread, then close; meanwhile the link is over
};

// An Error from pieces of text and unsigned numbers. Texts of at most 95 characters reach the peer whole.
template <class... Parts>
Error refusal(Errc code, const Parts&... parts) {
  std::string text;
  const auto append = [&text](const auto& part) {
    if constexpr (std::unsigned_integral<std::remove_cvref_t<decltype(part)>>)
      text += std::to_string(part);
    else
      text += part;
  };
  (append(parts), ...);
  return {code, std::move(text)};
}

// "2.0" for 0x0200.
inline std::string version_text(std::uint16_t version) {
  return std::to_string(version >> 8) + '.' + std::to_string(version & 0xff);
}

// One function for each message. One that is not thought of does not compile, and take_case() says so.
template <class... Functions>
struct Cases : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Cases(Functions...) -> Cases<Functions...>;

template <class... Functions>
auto take_case(const Cases<Functions...>& cases, const message::Message& message) {
  return std::visit(
      [&]<class One>(const One& one) {
        static_assert(std::is_invocable_v<const Cases<Functions...>&, const One&>, "a message that has no case here");
        return cases(one);
      },
      message);
}

// What both sides have in common: the deadline, and how it ends. `Own`: the actions that one of them has alone.
template <class... Own>
class Endpoint {
 public:
  using Action = std::variant<Send, Deadline, Down, Up, Own...>;
  using Actions = std::vector<Action>;

  // The host received something that is not a message: tells the peer what, and ends.
  Actions on_refused_input(const Error& error) {
    greeted();
    return refuse(error);
  }

  Actions on_deadline(Clock::time_point now) {
    if (done_ || !deadline_) return {};
    if (now < *deadline_) return {Deadline{deadline_}};
    const auto waited = static_cast<std::uint64_t>(timeout_.count());
    return refuse(refusal(Errc::timed_out, "handshake timed out after ", waited, " ms, ", doing_));
  }

  // End of file or a reset on the control channel.
  Actions on_closed() {
    greeted();
    return end({Errc::peer_gone, false, closed_text()}, false);
  }

  // The host cannot go on. The peer is told, if it may be and unless the reason came from it.
  Actions abort(Reason reason) {
    const bool tell = !reason.from_peer;
    return end(std::move(reason), tell);
  }

  // This side wants no more of it.
  Actions disconnect(Reason reason) { return end(std::move(reason), true); }

  bool up() const noexcept { return up_ && !done_; }
  bool done() const noexcept { return done_; }

  // At any moment, also for a host that ends the connection by itself, for want of memory. A client says nothing before
  // the server has acknowledged INIT.
  Leave leave() const noexcept { return leave_; }

  // The next message is to be looked at and left in the channel, until TakeGreeting.
  bool only_looks() const noexcept { return only_looks_; }

 protected:
  Endpoint(std::chrono::milliseconds timeout, std::string doing, Leave leave)
      : timeout_(timeout), doing_(std::move(doing)), leave_(leave), only_looks_(leave != Leave::told) {}
  ~Endpoint() = default;
  Endpoint(const Endpoint&) = default;
  Endpoint(Endpoint&&) noexcept = default;
  Endpoint& operator=(const Endpoint&) = default;
  Endpoint& operator=(Endpoint&&) noexcept = default;

  Deadline arm(Clock::time_point now) {
    // A timeout beyond the end of the clock is the end of the clock.
    const auto room = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::time_point::max() - now);
    deadline_ = timeout_ < room ? now + timeout_ : Clock::time_point::max();
    return {deadline_};
  }

  void greeted() noexcept {
    if (leave_ == Leave::when_greeted) leave_ = Leave::unread;
  }
  void introduced() noexcept { only_looks_ = false; }
  void acknowledged() noexcept { leave_ = Leave::told; }

  void set_up() {
    deadline_.reset();
    up_ = true;
    doing_ = "connected";
  }

  Actions refuse(const Error& error) { return end({error.code, false, error.message}, true); }
  Actions refuse_unexpected(const message::Message& message) {
    return refuse(refusal(Errc::unexpected_message, "unexpected ", message::name(message), ", ", doing_));
  }

  Actions on_disconnect(const message::Disconnect& message) {
    const Errc code = up_ ? Errc::peer_disconnected : Errc::peer_refused;
    std::string text = message.text;
    if (text.empty()) text = "no reason given, code " + std::to_string(message.code);
    return end({code, true, std::move(text)}, false);
  }

  void doing(std::string what) { doing_ = std::move(what); }
  void hint_on_close(std::string hint) { close_hint_ = std::move(hint); }

 private:
  std::string closed_text() const {
    std::string text = "the peer closed the control channel";
    if (!up_) text += " without a reason, " + doing_ + close_hint_;
    return text;
  }

  Actions end(Reason reason, bool tell) {
    if (done_) return {};
    done_ = true;
    deadline_.reset();
    Actions actions;
    if (tell && leave_ == Leave::told) {
      // Only memif's own codes mean anything to the peer, and one byte is left for the NUL that others rely on.
      const bool own = reason.code.category() == memif_category();
      const auto code = own ? static_cast<std::uint32_t>(reason.code.value()) : 0;
      actions.push_back(Send{message::Disconnect{code, reason.text.substr(0, message::reason_size - 1)}});
    }
    actions.push_back(Down{std::move(reason)});
    return actions;
  }

  std::chrono::milliseconds timeout_;
  std::optional<Clock::time_point> deadline_{};
  std::string doing_;         // the state in words: "waiting for INIT"
  std::string close_hint_{};  // what an unexplained end in this state usually means
  Leave leave_;
  bool only_looks_;
  bool up_ = false;
  bool done_ = false;
};

struct ServerIdentity {
  std::string app_name{};
  std::uint16_t max_region = 0;  // highest indexes, as HELLO offers them
  std::uint16_t max_m2s_ring = 0;
  std::uint16_t max_s2m_ring = 0;
  std::uint8_t max_log2_ring_size = 0;
  std::chrono::milliseconds timeout{};
};

// What the server must know of the interface that a client asks for.
struct ServerPolicy {
  bool connected = false;
  bool is_server = true;
  Mode mode = Mode::ethernet;
  std::string secret{};
  std::uint16_t max_s2m_rings = 0;  // counts
  std::uint16_t max_m2s_rings = 0;
  std::uint64_t max_memory = ~std::uint64_t{0};  // bytes of all regions, as far as descriptors reach into them
  std::string interface_name{};
  std::optional<Reason> refusal{};  // the peer is not welcome, whatever else it gets right
};

using Directory = std::function<std::optional<ServerPolicy>(std::uint32_t id)>;

class Server : public Endpoint<Admit, MapRegion, AttachRing, Establish> {
 public:
  Server(ServerIdentity identity, Directory directory);

  Actions start(Clock::time_point now);
  Actions on_message(const message::Message& message, std::size_t fd_count, Clock::time_point now);

  bool admitted() const noexcept { return admitted_; }

 private:
  enum class State { init, layout, up };
  struct Placed {  // a ring that was accepted
    std::uint16_t region;
    std::uint64_t begin, end;
  };

  // A message that has its place in this state alone.
  template <class Message>
  Actions in(State state, const Message& message, std::size_t fd_count, Actions (Server::*take)(const Message&));
  Actions on_init(const message::Init& init);
  Actions on_add_region(const message::AddRegion& region);
  Actions on_add_ring(const message::AddRing& ring);
  Actions on_connect(const message::Connect& connect);
  Status check(const message::AddRegion& region) const;
  Status check(const message::AddRing& ring) const;
  Status check_place(const message::AddRing& ring, std::string_view which) const;

  ServerIdentity identity_;
  Directory directory_;
  State state_ = State::init;
  bool admitted_ = false;
  std::string interface_name_{};
  unsigned s2m_limit_ = 0, m2s_limit_ = 0;  // counts
  unsigned s2m_rings_ = 0, m2s_rings_ = 0;
  std::vector<std::uint64_t> region_sizes_{};
  std::uint64_t memory_ = 0, memory_limit_ = 0;  // bytes within reach of descriptors
  std::vector<Placed> placed_{};
};

struct RingCounts {
  std::uint16_t s2m = 0, m2s = 0;
  friend bool operator==(const RingCounts&, const RingCounts&) = default;
};

struct ClientOptions {
  std::string app_name{};
  std::string interface_name{};
  std::uint32_t id = 0;
  Mode mode = Mode::ethernet;
  std::string secret{};
  RingCounts rings{1, 1};  // wanted
  std::uint8_t log2_ring_size = 10;
  std::chrono::milliseconds timeout{};
};

class Client : public Endpoint<Allocate, TakeGreeting> {
 public:
  explicit Client(ClientOptions options);

  Actions start(Clock::time_point now);
  Actions on_message(const message::Message& message, std::size_t fd_count, Clock::time_point now);

  // After Allocate. The rings are announced in the order given: S2M 0 and up, then M2S 0 and up.
  Actions allocated(std::vector<std::uint64_t> region_sizes, std::vector<RingSpec> rings, Clock::time_point now);

  // When it has ended: the server took some rings and refused the next; as many might do. HELLO does not tell.
  const std::optional<RingCounts>& fewer() const noexcept { return fewer_; }

 private:
  enum class State { hello, allocating, announcing, connecting, up };

  // A message that has its place in this state alone.
  template <class Message>
  Actions in(State state, const Message& message, std::size_t fd_count, Actions (Client::*take)(const Message&));
  Actions on_hello(const message::Hello& hello);
  Actions on_ack(const message::Ack& ack);
  Actions on_connected(const message::Connected& connected);
  Actions announce_next();
  void count_taken_rings();

  ClientOptions options_;
  State state_ = State::hello;
  unsigned region_limit_ = 0;  // counts agreed on
  RingCounts limit_{};
  std::optional<RingCounts> fewer_{};
  std::vector<std::uint64_t> region_sizes_{};
  std::vector<RingSpec> rings_{};
  std::size_t announced_ = 0;  // of regions, then of rings
};

}  // namespace memif::handshake
