// Whose turn it is in the C API: capi/core/turn.hpp.
#include <atomic>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "turn.hpp"

namespace memif::capi {
namespace {

// Whether a thread of this process waits for something.
bool waits(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string number, name, state;
  file >> number >> name >> state;
  return state == "S";
}

// Whether another thread gets the turn while this one has it. It is let go only when it has it, or waits for it.
bool another_thread_gets(TurnLock& turn) {
  std::atomic<pid_t> id{0};
  std::atomic<bool> taken{false};
  turn.take();
  std::thread other([&] {
    id = ::gettid();
    turn.take();
    taken = true;
    turn.give();
  });
  while (!taken && (id == 0 || !waits(id))) std::this_thread::yield();
  const bool got_it = taken;
  turn.give();
  other.join();
  return got_it;
}

TEST(TurnLock, IsOfOneThreadAtATime) {
  TurnLock turn;
  EXPECT_FALSE(another_thread_gets(turn));
}

TEST(TurnLock, ItsThreadHasItAlready) {
  TurnLock turn;
  EXPECT_TRUE(turn.take());
  EXPECT_FALSE(turn.take());
  turn.give();
  EXPECT_TRUE(turn.take());
}

// What a child of fork() inherits is forgotten once, and not when a thread of its own has the turn.
TEST(TurnLock, IsOfOneThreadAtATimeInAChildToo) {
  for (const bool taken_by_parent : {false, true}) {
    TurnLock turn;
    std::thread left_behind;
    std::atomic<bool> taken{false}, over{false};
    if (taken_by_parent) {
      left_behind = std::thread([&] {
        turn.take();
        taken = true;
        while (!over) std::this_thread::yield();
        turn.give();
      });
      while (!taken) std::this_thread::yield();
    }
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);
      ::_exit(another_thread_gets(turn) ? 1 : 0);
    }
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << (taken_by_parent ? "taken by a thread of the parent" : "nobody's");
    over = true;
    if (left_behind.joinable()) left_behind.join();
  }
}

}  // namespace
}  // namespace memif::capi
