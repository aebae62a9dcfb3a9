// A memif peer that can do anything the wire allows: any bytes, any descriptors, any writes to shared memory. What it
// does right, it does by the library's own message format and cache line; nothing else of the library is in it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

#include <memif/detail/wire.hpp>

#include "protocol/message.hpp"

namespace memif::hostile {

inline constexpr unsigned ring_log2 = 6;
inline constexpr unsigned ring_size = 1u << ring_log2;
inline constexpr std::uint32_t buffer_size = 2048;
inline constexpr const char* good_secret = "open sesame";
inline constexpr std::uint32_t good_id = 7;

// A descriptor as it lies in memory, writable by field.
struct Slot {
  std::uint16_t flags;
  std::uint16_t region;
  std::uint32_t length;
  std::uint32_t offset;
  std::uint32_t metadata;
};
static_assert(sizeof(Slot) == 16);

// One ring in mapped memory. Writes are what a peer's stores are to the victim: they appear at any moment.
class RawRing {
 public:
  RawRing() = default;
  explicit RawRing(std::byte* at) : at_(at) {}
  volatile std::uint32_t& cookie() const { return field<std::uint32_t>(0); }
  volatile std::uint16_t& flags() const { return field<std::uint16_t>(4); }
  volatile std::uint16_t& head() const { return field<std::uint16_t>(6); }
  volatile std::uint16_t& tail() const { return field<std::uint16_t>(wire::cache_line); }
  volatile Slot& slot(std::uint16_t index) const {
    return field<Slot>(2 * wire::cache_line + sizeof(Slot) * (index % ring_size));
  }

 private:
  template <class T>
  volatile T& field(std::size_t offset) const {
    return *reinterpret_cast<volatile T*>(at_ + offset);
  }
  std::byte* at_ = nullptr;
};

// Indices wrap.
inline std::uint16_t plus(std::uint16_t index, int n) { return static_cast<std::uint16_t>(index + n); }

// Stores in program order, as far as the victim can tell.
void fence();
// Bounded; ends the program with a message if `done` stays false: the attack could not be carried out.
void until(const char* what, const std::function<bool()>& done);
[[noreturn]] void give_up(const std::string& why);

// The process under attack: the one that has started this one, unless it is named.
extern pid_t attacked_process;

// A connected control channel, and all that is to be closed with it.
class RawChannel {
 public:
  RawChannel() = default;
  ~RawChannel() { close_all(); }
  RawChannel(const RawChannel&) = delete;
  RawChannel& operator=(const RawChannel&) = delete;

  // Sending to a victim that has hung up is no error: that may be the point.
  void send(const message::Message& message, std::initializer_list<int> fds = {}) { send(message, std::vector(fds)); }
  void send(const message::Message& message, const std::vector<int>& fds);
  void send_bytes(std::span<const std::byte> bytes, const std::vector<int>& fds = {});
  void send_bytes(std::size_t size) { send_bytes(std::vector<std::byte>(size, std::byte{1})); }
  void send_type(std::uint16_t type);  // 128 bytes of a message of that type, else zero

  struct Received {
    message::Message message;
    std::vector<int> fds;
  };
  Received receive();  // the next message; gives up if there is none
  template <class T>
  Received expect() {
    Received received = receive();
    if (std::holds_alternative<T>(received.message)) return received;
    const auto* const goodbye = std::get_if<message::Disconnect>(&received.message);
    give_up(std::string("instead of what was expected came ") + message::name(received.message) +
            (goodbye != nullptr ? ": " + goodbye->text : ""));
  }
  bool hung_up();  // waits for the victim to close

  int keep(int fd) {
    kept_.push_back(fd);
    return fd;
  }
  int socket() const { return socket_; }
  void close_socket();
  void close_all();

 protected:
  int socket_ = -1;
  std::vector<int> kept_;
};

// The client's side: what attacks our server.
class RawClient : public RawChannel {
 public:
  explicit RawClient(std::string path) : path_(std::move(path)) {}
  ~RawClient();

  // Each does the steps before it too.
  void open();
  void hello();    // HELLO has been read
  void admit();    // INIT acknowledged
  void region();   // one region acknowledged, with rings and buffers in it
  void rings();    // one ring each way acknowledged
  void connect();  // CONNECTED

  void make_memory();
  message::Init init() const;
  message::AddRing ring(bool to_server) const { return {to_server, 0, 0, to_server ? 0u : 4096u, ring_log2, 0}; }
  int event() const { return events_[0]; }

  // Good traffic: one packet, or many at the victim's pace.
  void send_packet(std::uint32_t length = 64);
  void stream(unsigned packets);
  void post_all();

  int memory = -1;
  std::byte* base = nullptr;
  std::size_t size = 1 << 20;
  bool seal = true;
  RawRing s2m, m2s;
  static std::uint32_t buffer(bool to_server, std::uint16_t index) {
    return 16384 + buffer_size * ((to_server ? 0u : ring_size) + index % ring_size);
  }

 private:
  std::string path_;
  int events_[2] = {-1, -1};
};

// The server's side: what attacks our client.
class RawServer : public RawChannel {
 public:
  explicit RawServer(std::string path) : path_(std::move(path)) {}
  ~RawServer();

  void listen();  // then the victim may be told to connect
  void accept();
  void hello();    // HELLO sent, INIT read
  void admit();    // INIT acknowledged, first ADD_REGION read
  void layout();   // all regions and rings acknowledged, CONNECT read
  void connect();  // CONNECTED

  message::Hello greeting() const { return {"evil server", 0x0200, 0x0200, 255, 255, 255, 14}; }

  // Good traffic to the client: fills the posted buffer of its next slot.
  void send_packet(const char* text = "GOOD");
  void stream(unsigned packets);

  struct Mapped {
    std::byte* base = nullptr;
    std::size_t size = 0;
    int fd = -1;
  };
  std::vector<Mapped> regions;
  std::vector<int> events;  // S2M 0, M2S 0
  RawRing s2m, m2s;

 private:
  std::string path_;
  int listening_ = -1;
};

// As a peer that has something to tell.
void ring_bell(int event);

// Leaves the eventfd's counter full and its writes blocking.
void fill_event(int event);

// Descriptors of every kind.
int make_pipe(RawChannel& owner);
int make_memfd(RawChannel& owner, std::size_t size);
int make_socket(RawChannel& owner);
int make_file(RawChannel& owner);
int open_path(RawChannel& owner, const char* path, int flags);

}  // namespace memif::hostile
