// Memory that vanishes under its mapping. Each test runs in a process of its own (a death test's child), since the
// handler is installed once and for the whole process.
#include "memory/sigbus.hpp"

#include <atomic>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "memory/region.hpp"

namespace memif {
namespace {

constexpr std::size_t page = 4096, pages = 4;

Fd make_file(bool seal) {
  Fd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(fd.get(), pages * page), 0);
  if (seal) {
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  }
  return fd;
}

struct Counting final : FaultObserver {
  void memory_vanished() noexcept override { ++times; }
  std::atomic<int> times{0};
};

// Exits with 0 if `done` says so. What the tests expect of a child is that, or death by SIGBUS.
[[noreturn]] void leave(bool done) { ::_exit(done ? 0 : 1); }

bool handler_is_default() {
  struct sigaction now;
  ::sigaction(SIGBUS, nullptr, &now);
  return now.sa_handler == SIG_DFL;
}

// A sanitizer's handler would be chained to; here the chain is to end in the kernel's default.
void forget_handlers() { ::signal(SIGBUS, SIG_DFL); }

volatile std::byte& byte(const Region& region, std::size_t at) { return region.data()[at]; }

TEST(SigbusDeathTest, VanishedMemoryReadsAsZeros) {
  EXPECT_EXIT(
      {
        const Fd file = make_file(false);
        Region region = Region::map_peer(Fd(::dup(file.get())), pages * page, false).value();
        Counting observer;
        region.observe(observer);
        std::memset(region.data(), 7, pages * page);
        if (::ftruncate(file.get(), page) != 0) leave(false);
        const bool zeros = byte(region, page) == std::byte{0} && byte(region, pages * page - 1) == std::byte{0};
        byte(region, 2 * page) = std::byte{3};
        leave(zeros && byte(region, 0) == std::byte{7} && byte(region, 2 * page) == std::byte{3} &&
              observer.times == 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(SigbusDeathTest, AFaultBeforeAnybodyObservesIsToldWhenSomebodyDoes) {
  EXPECT_EXIT(
      {
        const Fd file = make_file(false);
        Region region = Region::map_peer(Fd(::dup(file.get())), pages * page, false).value();
        if (::ftruncate(file.get(), 0) != 0) leave(false);
        static_cast<void>(std::byte{byte(region, 0)});
        Counting observer;
        region.observe(observer);
        leave(observer.times == 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(SigbusDeathTest, SealedMemoryInstallsNoHandler) {
  EXPECT_EXIT(
      {
        forget_handlers();
        Region sealed = Region::map_peer(make_file(true), pages * page, false).value();
        const bool none = handler_is_default();
        Region unsealed = Region::map_peer(make_file(false), pages * page, false).value();
        leave(none && !handler_is_default());
      },
      testing::ExitedWithCode(0), "");
}

TEST(SigbusDeathTest, SealedMemoryCanBeRequired) {
  const auto refused = Region::map_peer(make_file(false), pages * page, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsealed_memory);
  EXPECT_TRUE(Region::map_peer(make_file(true), pages * page, true));
}

void* own_fault() {
  const Fd file = make_file(false);
  void* const own = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  EXPECT_EQ(::ftruncate(file.get(), 0), 0);
  return own;
}

void exit_with_3(int, siginfo_t*, void*) { ::_exit(3); }
void exit_with_4(int) { ::_exit(4); }

TEST(SigbusDeathTest, FaultsElsewhereReachTheHandlerThatWasThereBefore) {
  EXPECT_EXIT(
      {
        struct sigaction mine {};
        mine.sa_sigaction = exit_with_3;
        mine.sa_flags = SA_SIGINFO;
        ::sigaction(SIGBUS, &mine, nullptr);
        Region region = Region::map_peer(make_file(false), pages * page, false).value();
        *static_cast<volatile char*>(own_fault()) = 1;
        leave(true);
      },
      testing::ExitedWithCode(3), "");
  EXPECT_EXIT(
      {
        ::signal(SIGBUS, exit_with_4);
        Region region = Region::map_peer(make_file(false), pages * page, false).value();
        *static_cast<volatile char*>(own_fault()) = 1;
        leave(true);
      },
      testing::ExitedWithCode(4), "");
}

TEST(SigbusDeathTest, FaultsElsewhereKillAsEverWhereNobodyHandlesThem) {
  EXPECT_EXIT(
      {
        forget_handlers();
        Region region = Region::map_peer(make_file(false), pages * page, false).value();
        *static_cast<volatile char*>(own_fault()) = 1;
        leave(true);
      },
      testing::KilledBySignal(SIGBUS), "");
  EXPECT_EXIT(
      {
        forget_handlers();
        Region region = Region::map_peer(make_file(false), pages * page, false).value();
        ::raise(SIGBUS);
        leave(true);
      },
      testing::KilledBySignal(SIGBUS), "");
}

TEST(SigbusDeathTest, AnIgnoredSignalOfAProcessIsStillIgnored) {
  EXPECT_EXIT(
      {
        ::signal(SIGBUS, SIG_IGN);
        Region region = Region::map_peer(make_file(false), pages * page, false).value();
        ::raise(SIGBUS);
        leave(true);
      },
      testing::ExitedWithCode(0), "");
}

TEST(SigbusDeathTest, MemoryThatIsUnmappedIsGuardedNoMore) {
  EXPECT_EXIT(
      {
        forget_handlers();
        std::byte* base = nullptr;
        {
          Region region = Region::map_peer(make_file(false), pages * page, false).value();
          base = region.data();
        }
        const Fd file = make_file(false);
        ::mmap(base, pages * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.get(), 0);
        if (::ftruncate(file.get(), 0) != 0) leave(false);
        *reinterpret_cast<volatile char*>(base) = 1;
        leave(true);
      },
      testing::KilledBySignal(SIGBUS), "");
}

TEST(SigbusDeathTest, AThreadThatBlocksTheSignalLetsItInAgain) {
  EXPECT_EXIT(
      {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
        const Fd file = make_file(false);
        Region region = Region::map_peer(Fd(::dup(file.get())), pages * page, false).value();
        if (!region.guarded() || ::ftruncate(file.get(), 0) != 0) leave(false);
        let_faults_in();
        leave(byte(region, page) == std::byte{0});
      },
      testing::ExitedWithCode(0), "");
}

// Any more than there are.
bool forbid_mappings() {
  std::size_t in_pages = 0;
  std::ifstream("/proc/self/statm") >> in_pages;
  const struct rlimit limit = {in_pages * page, in_pages * page};
  return ::setrlimit(RLIMIT_AS, &limit) == 0 &&
         ::mmap(nullptr, 1 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

// Neither all zeros nor a page of them fit into what is left of the address space; they fit into the hole.
TEST(SigbusDeathTest, MemoryVanishesWhereNothingMoreCanBeMapped) {
  EXPECT_EXIT(
      {
        const Fd file = make_file(false);
        Region region = Region::map_peer(Fd(::dup(file.get())), pages * page, false).value();
        if (::ftruncate(file.get(), 0) != 0 || !forbid_mappings()) leave(false);
        leave(byte(region, 2 * page) == std::byte{0} && byte(region, page) == std::byte{0});
      },
      testing::ExitedWithCode(0), "");
}

bool forbid_data() {
  const struct rlimit none = {0, 0};
  return ::setrlimit(RLIMIT_DATA, &none) == 0;
}

TEST(SigbusDeathTest, MemoryVanishesWhereThereIsNoPageForIt) {
  EXPECT_EXIT(
      {
        const Fd file = make_file(false);
        Region region = Region::map_peer(Fd(::dup(file.get())), pages * page, false).value();
        Counting observer;
        region.observe(observer);
        std::memset(region.data(), 7, pages * page);
        if (::ftruncate(file.get(), page) != 0 || !forbid_data()) leave(false);
        byte(region, 2 * page) = std::byte{1};
        const bool there = byte(region, page) != std::byte{7} && byte(region, 3 * page) != std::byte{7};
        leave(there && byte(region, 0) == std::byte{7} && observer.times == 3);
      },
      testing::ExitedWithCode(0), "");
}

// Whoever shares a memory file of huge pages can punch holes into it, sealed or not, and take the pages.
TEST(SigbusDeathTest, HugePagesThatOthersTakeAwayAreGuarded) {
  constexpr std::size_t huge = 2 << 20;
  const Region::Options options{.huge_pages = true, .prefault = true};
  bool fell_back = false;
  if (!Region::create("test", huge, options, fell_back) || fell_back) GTEST_SKIP() << "no huge pages here";
  EXPECT_EXIT(
      {
        Region region = Region::create("test", huge, options, fell_back).value();
        std::vector<Region> others;
        bool taken = false;
        if (!region.guarded() || ::fallocate(region.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, huge) != 0)
          leave(false);
        while (!taken) {
          Result<Region> other = Region::create("test", huge, options, taken);
          if (!taken) others.push_back(std::move(*other));
        }
        leave(byte(region, 5) == std::byte{0});
      },
      testing::ExitedWithCode(0), "");
}

TEST(SigbusDeathTest, OneOfManyRegionsVanishesAndTheOthersStay) {
  EXPECT_EXIT(
      {
        std::vector<Fd> files;
        std::vector<Region> regions;
        std::vector<Counting> observers(100);
        for (std::size_t i = 0; i < observers.size(); ++i) {
          files.push_back(make_file(false));
          regions.push_back(Region::map_peer(Fd(::dup(files[i].get())), pages * page, false).value());
          regions[i].observe(observers[i]);
          std::memset(regions[i].data(), 9, pages * page);
        }
        regions.erase(regions.begin() + 10);
        if (::ftruncate(files[50].get(), 0) != 0) leave(false);
        bool good = true;
        for (std::size_t i = 0; i < regions.size(); ++i)
          good = good && byte(regions[i], page) == (i == 49 ? std::byte{0} : std::byte{9});
        for (std::size_t i = 0; i < observers.size(); ++i) good = good && observers[i].times == (i == 50 ? 1 : 0);
        leave(good);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace memif
