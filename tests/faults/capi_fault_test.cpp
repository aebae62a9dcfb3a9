// A program of the C API with allocation functions of its own, when something runs out: each request of the library's
// is refused once, to the program, to operator new or to the system. What comes of it is an error that says so, and the
// same call succeeds when it is made again; or the link is tried again. Compiled once for each generation.
#include <cstdlib>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <libmemif.h>
#include <string>
#include <unistd.h>

#include <memif/memif.hpp>

#include "refuse_each.hpp"

namespace memif::faults {
namespace {

using namespace std::chrono_literals;

long program_blocks = 0;

void* allocate(std::size_t size) {
  if (refused("the program's alloc")) return nullptr;
  void* const block = std::malloc(size);
  program_blocks += block != nullptr ? 1 : 0;
  return block;
}
void* reallocate(void* old, std::size_t size) {
  if (refused("the program's realloc")) return nullptr;
  void* const block = std::realloc(old, size);
  program_blocks += block != nullptr && old == nullptr ? 1 : 0;
  return block;
}
void release(void* block) {
  program_blocks -= block != nullptr ? 1 : 0;
  std::free(block);
}

const std::string socket_path = testing::TempDir() + "memif-capi-fault-" + std::to_string(::getpid()) + ".sock";

constexpr itimerspec every_millisecond{.it_interval = {0, 1'000'000}, .it_value = {0, 1'000'000}};

// --- What differs between the generations

#if GENERATION == 3
struct Library {
  memif_per_thread_main_handle_t instance = nullptr;
  memif_socket_handle_t socket = nullptr;

  int open() {
    static char name[] = "a program of some name";
    if (instance == nullptr) {
      const int code = memif_per_thread_init(&instance, nullptr, nullptr, name, allocate, reallocate, release);
      if (code != MEMIF_ERR_SUCCESS) return code;
      memif_per_thread_set_connection_request_timer(instance, every_millisecond);
    }
    return memif_per_thread_create_socket(instance, &socket, socket_path.c_str(), nullptr);
  }
  int poll() { return memif_per_thread_poll_event(instance, 0); }
  int close() {
    const int code = memif_delete_socket(&socket);
    return code != MEMIF_ERR_SUCCESS ? code : memif_per_thread_cleanup(&instance);
  }
};
#else
struct Library {
  memif_socket_handle_t socket = nullptr;

  int open() {
    memif_socket_args_t args{};
    std::strcpy(args.path, socket_path.c_str());
    std::strcpy(args.app_name, "a program of some name");
    args.connection_request_timer = every_millisecond;
    args.alloc = allocate;
    args.realloc = reallocate;
    args.free = release;
    return memif_create_socket(&socket, &args, nullptr);
  }
  int poll() { return memif_poll_event(socket, 0); }
  int close() { return memif_delete_socket(&socket); }
};
#endif

// --- The program, and its peer: an interface of the C++ API that is short of nothing

class Program {
 public:
  Program(Experiment& experiment, bool master) : experiment_(experiment), master_(master) {}

  void open() {
    repeat("opening", [this] { return library_.open(); });
    ASSERT_NE(library_.socket, nullptr);
  }

  void create() {
    memif_conn_args_t args{};
    args.socket = library_.socket;
    args.log2_ring_size = 4;
    args.is_master = master_ ? 1 : 0;
    args.interface_id = 3;
    std::memcpy(args.secret, "a secret", 8);
    std::memcpy(args.interface_name, "an interface", 12);
    repeat("creating", [&] {
      const int code = memif_create(&conn_, &args, on_connect, on_disconnect, on_interrupt, this);
      EXPECT_EQ(code == MEMIF_ERR_SUCCESS, conn_ != nullptr);
      return code;
    });
    ASSERT_NE(conn_, nullptr);
    peer_ = &peer_context_.add({.socket = socket_path,
                                .id = 3,
                                .role = master_ ? Role::client : Role::server,
                                .secret = "a secret",
                                .ring_size = 16,
                                .reconnect = 1ms,
                                .handshake_timeout = 80ms});
  }

  void await_link() {
    ASSERT_TRUE(turn_until([this] { return up_ && peer_->connected(); }));
  }
  void lose_link() {
    peer_->disconnect("a reason of more than a few words");
    ASSERT_TRUE(turn_until([this] { return !up_; }));
  }

  void exchange() {
    memif_buffer_t buffers[8];
    std::uint16_t count = 0;
    repeat("allocating", [&] { return memif_buffer_alloc(conn_, 0, buffers, 2, &count, 600); });
    ASSERT_EQ(count, 2u);
    for (memif_buffer_t& buffer : std::span(buffers).first(2)) std::memset(buffer.data, 0x33, buffer.len);
    repeat("sending", [&] { return memif_tx_burst(conn_, 0, buffers, 2, &count); });
    ASSERT_EQ(count, 2u);
    std::array<Buffer, 8> received;
    ASSERT_EQ(peer_->rx(0).receive(received).size(), 2u);

    const std::array<std::byte, 600> packet{};
    const unsigned before = interrupts_;
    ASSERT_TRUE(peer_->tx(0).send_copy(packet));
    ASSERT_TRUE(turn_until([&] { return interrupts_ != before; }));
    repeat("receiving", [&] { return memif_rx_burst(conn_, 0, buffers, 8, &count); });
    ASSERT_EQ(count, 1u);
    repeat("refilling", [&] { return memif_refill_queue(conn_, 0, count, 0); });
  }

  void ask() {
    char text[4096];
    memif_details_t details;
    repeat("asking", [&] { return memif_get_details(conn_, &details, text, sizeof text); });
    EXPECT_EQ(details.link_up_down, 1);
    EXPECT_EQ(details.regions_num, 1);
  }

  // What ends something cannot fail.
  void close() {
    int code = 0;
    experiment_.armed([&] { code = memif_delete(&conn_); });
    EXPECT_EQ(code, MEMIF_ERR_SUCCESS);
    EXPECT_EQ(conn_, nullptr);
    EXPECT_FALSE(up_) << "on_disconnect was not called";
    experiment_.armed([&] { code = library_.close(); });
    EXPECT_EQ(code, MEMIF_ERR_SUCCESS);
    EXPECT_EQ(library_.socket, nullptr);
  }

 private:
  // Once more, with all that it needs, if it fails for the want of something.
  void repeat(const char* what, const std::function<int()>& call) {
    const char* const before = experiment_.failed();
    int code = MEMIF_ERR_SUCCESS;
    experiment_.armed([&] { code = call(); });
    if (code == MEMIF_ERR_SUCCESS) return;
    ASSERT_NE(experiment_.failed(), nullptr) << what << ": " << memif_strerror(code);
    EXPECT_NE(code, MEMIF_ERR_INVAL_ARG) << what;
    if (before == nullptr && memory(experiment_.failed())) {
      EXPECT_EQ(code, MEMIF_ERR_NOMEM) << what << ": " << memif_strerror(code);
    }
    code = call();
    EXPECT_EQ(code, MEMIF_ERR_SUCCESS) << what << " once more: " << memif_strerror(code);
  }
  static bool memory(const std::string& call) { return call == "operator new" || call.starts_with("the program's"); }

  [[nodiscard]] bool turn_until(const std::function<bool()>& done) {
    const auto deadline = Clock::now() + 10s;
    while (!done()) {
      if (Clock::now() > deadline) return false;
      int code = MEMIF_ERR_SUCCESS;
      experiment_.armed([&] { code = library_.poll(); });
      EXPECT_NE(code, MEMIF_ERR_INVAL_ARG);
      peer_context_.poll(1ms);
    }
    return true;
  }

  static int on_connect(memif_conn_handle_t conn, void* context) {
    auto& self = *static_cast<Program*>(context);
    self.up_ = true;
    EXPECT_EQ(memif_refill_queue(conn, 0, static_cast<std::uint16_t>(-1), 0), MEMIF_ERR_SUCCESS);
    return 0;
  }
  static int on_disconnect(memif_conn_handle_t, void* context) {
    static_cast<Program*>(context)->up_ = false;
    return 0;
  }
  static int on_interrupt(memif_conn_handle_t, void* context, std::uint16_t) {
    ++static_cast<Program*>(context)->interrupts_;
    return 0;
  }

  Experiment& experiment_;
  bool master_;
  Library library_;
  memif_conn_handle_t conn_ = nullptr;
  bool up_ = false;
  unsigned interrupts_ = 0;
  Context peer_context_;
  Interface* peer_ = nullptr;
};

void live(Experiment& experiment, bool master) {
  Program program(experiment, master);
  ASSERT_NO_FATAL_FAILURE(program.open());
  ASSERT_NO_FATAL_FAILURE(program.create());
  for (int link = 0; link < 2; ++link) {
    ASSERT_NO_FATAL_FAILURE(program.await_link());
    ASSERT_NO_FATAL_FAILURE(program.exchange());
    ASSERT_NO_FATAL_FAILURE(program.ask());
    if (link == 0) {
      ASSERT_NO_FATAL_FAILURE(program.lose_link());
    }
  }
  program.close();
}

// --- All of it, with each request refused

class ProgramFault : public testing::TestWithParam<std::tuple<bool, Extent>> {};

TEST_P(ProgramFault, IsReportedOrRetriedAndLeaksNothing) {
  const auto life = [](Experiment& experiment) {
    live(experiment, std::get<bool>(GetParam()));
    EXPECT_EQ(program_blocks, 0);
  };
  refuse_each(std::get<Extent>(GetParam()), life, 100);
}

const auto name_of_fault = [](const auto& instance) {
  const auto& [master, extent] = instance.param;
  return std::to_string(GENERATION) + (master ? "AsMaster" : "AsSlave") + name_of(extent);
};
INSTANTIATE_TEST_SUITE_P(OfGeneration, ProgramFault,
                         testing::Combine(testing::Bool(), testing::Values(Extent::once, Extent::from_then)),
                         name_of_fault);

}  // namespace
}  // namespace memif::faults
