#include "memory/region.hpp"

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <memif/detail/wire.hpp>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#include "support/confined.hpp"
#include "support/resources.hpp"

namespace memif {
namespace {

constexpr std::uint64_t page = 4096;

std::size_t open_fds() { return test::open_descriptors(); }

std::size_t memory_file_mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) count += line.find("memfd:region-test") != line.npos;
  return count;
}

Fd memory_file(std::uint64_t size, int seals = 0) {
  Fd fd(::memfd_create("region-test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  if (seals != 0) {
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  }
  return fd;
}

Fd reopened(const Fd& fd, int flags) {
  return Fd(::open(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), flags | O_CLOEXEC));
}

Fd duplicate(const Fd& fd) { return Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

class RegionTest : public testing::Test {
 protected:
  void SetUp() override {
    fds_ = open_fds();
    mappings_ = memory_file_mappings();
  }
  void TearDown() override {
    EXPECT_EQ(open_fds(), fds_) << "descriptors leaked";
    EXPECT_EQ(memory_file_mappings(), mappings_) << "mappings leaked";
  }
  static Result<Region> create(std::uint64_t size, Region::Options options = {}) {
    bool fell_back = false;
    return Region::create("region-test", size, options, fell_back);
  }
  static void expect_refused(Fd fd, std::uint64_t size, const std::string& words) {
    const auto region = Region::map_peer(std::move(fd), size, false);
    ASSERT_FALSE(region);
    EXPECT_EQ(region.error().code, Errc::bad_region);
    EXPECT_NE(region.error().message.find(words), std::string::npos) << region.error().message;
  }
  std::size_t fds_ = 0, mappings_ = 0;
};

TEST_F(RegionTest, NewRegionIsZeroedWholePagesAndSealed) {
  auto region = create(5000);
  ASSERT_TRUE(region) << region.error().message;
  EXPECT_EQ(region->size(), 2 * page);
  EXPECT_TRUE(region->sealed());
  EXPECT_FALSE(region->external());
  for (std::uint64_t i = 0; i < region->size(); ++i) ASSERT_EQ(region->data()[i], std::byte{0});
  region->data()[2 * page - 1] = std::byte{1};
  EXPECT_TRUE(::fcntl(region->fd(), F_GETFD) & FD_CLOEXEC);
  EXPECT_NE(::ftruncate(region->fd(), 0), 0);
  EXPECT_NE(::ftruncate(region->fd(), 1 << 20), 0);
  EXPECT_NE(::fcntl(region->fd(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
}

// The last to let go of a file frees its pages, a fifth of a second for a GiB; it may be longer than what is announced.
TEST_F(RegionTest, PagesOfAPeersFileAreNotFreedOnThisThread) {
  constexpr std::uint64_t size = std::uint64_t{512} << 20;
  const auto processor_time = [] {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  for (const std::uint64_t claimed : {page, size + page}) {  // taken, and refused
    Fd file = memory_file(size);
    if (::fallocate(file.get(), 0, 0, size) != 0) GTEST_SKIP() << "not so much memory here";
    const auto before = processor_time();
    {
      auto region = Region::map_peer(std::move(file), claimed, false);
      EXPECT_EQ(static_cast<bool>(region), claimed == page);
      if (region) region->close_file();
    }
    EXPECT_LT(processor_time() - before, std::chrono::milliseconds(20));
    static_cast<void>(open_fds());  // waits for what is being closed
  }
}

TEST_F(RegionTest, PrefaultedRegionIsInMemory) {
  auto region = create(64 * page, {.huge_pages = false, .prefault = true});
  ASSERT_TRUE(region) << region.error().message;
  unsigned char resident[64];
  ASSERT_EQ(::mincore(region->data(), region->size(), resident), 0);
  for (const unsigned char here : resident) EXPECT_TRUE(here & 1);
}

TEST_F(RegionTest, HugePagesOrAReportedFallBack) {
  bool fell_back = false;
  auto region = Region::create("region-test", 3 << 20, {.huge_pages = true, .prefault = true}, fell_back);
  ASSERT_TRUE(region) << region.error().message;
  EXPECT_EQ(region->size(), fell_back ? std::uint64_t{3} << 20 : std::uint64_t{4} << 20);
  region->data()[region->size() - 1] = std::byte{1};
}

TEST_F(RegionTest, SmallPagesAreNoFallBackWhenNoneWereAskedFor) {
  bool fell_back = true;
  ASSERT_TRUE(Region::create("region-test", page, {}, fell_back));
  EXPECT_FALSE(fell_back);
}

TEST_F(RegionTest, ImpossibleSizesAreErrors) {
  EXPECT_FALSE(create(0));
  EXPECT_FALSE(create(~std::uint64_t{0}));
  EXPECT_FALSE(create(std::uint64_t{1} << 62));
  EXPECT_FALSE(create(std::uint64_t{1} << 62, {.huge_pages = true, .prefault = true}));
}

TEST_F(RegionTest, MovesAndIsReplaced) {
  auto one = create(page), two = create(page);
  ASSERT_TRUE(one && two);
  std::byte* const data = two->data();
  *one = std::move(*two);
  EXPECT_EQ(one->data(), data);
  EXPECT_EQ(two->data(), nullptr);
  EXPECT_EQ(two->fd(), -1);
  const Region moved = std::move(*one);
  EXPECT_EQ(moved.data(), data);
  EXPECT_TRUE(moved.sealed());
}

TEST_F(RegionTest, BothSidesSeeTheSameBytes) {
  auto ours = create(page);
  ASSERT_TRUE(ours);
  auto theirs = Region::map_peer(Fd(::fcntl(ours->fd(), F_DUPFD_CLOEXEC, 0)), page, true);
  ASSERT_TRUE(theirs) << theirs.error().message;
  EXPECT_TRUE(theirs->sealed());
  theirs->data()[17] = std::byte{42};
  EXPECT_EQ(ours->data()[17], std::byte{42});
}

TEST_F(RegionTest, PeerMayClaimLessThanTheFile) {
  auto region = Region::map_peer(memory_file(2 * page), page + 100, false);
  ASSERT_TRUE(region);
  EXPECT_EQ(region->size(), page + 100);
  EXPECT_FALSE(region->sealed());
}

TEST_F(RegionTest, SizesThatCannotBeAreRefused) {
  expect_refused(memory_file(page), 0, "its size is 0");
  expect_refused(memory_file(page), page + 1, "said to be 4097 bytes but the file has 4096");
  expect_refused(memory_file(page), ~std::uint64_t{0}, "said to be 18446744073709551615 bytes");
  expect_refused(memory_file(page), ~std::uint64_t{0} - page + 1, "said to be 18446744073709547520 bytes");
  expect_refused(memory_file(0), page, "the file has 0");
}

TEST_F(RegionTest, OnlyWhatDescriptorsReachIsMapped) {
  const auto region = Region::map_peer(memory_file(std::uint64_t{1} << 40), std::uint64_t{1} << 40, false);
  ASSERT_TRUE(region) << region.error().message;
  EXPECT_EQ(region->size(), wire::region_reach);
}

// Nor does an application map more, of whose hooks nothing else is counted: four sparse files like this one would take
// all addresses that a process has.
TEST_F(RegionTest, ApplicationsAreAskedToMapWhatDescriptorsReach) {
  constexpr std::uint64_t announced = std::uint64_t{1} << 45;
  std::vector<std::uint64_t> mapped, released;
  const auto hooks = std::make_shared<MemoryHooks>();
  hooks->map = [&mapped](std::uint64_t bytes, int fd) {
    mapped.push_back(bytes);
    return static_cast<std::byte*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  };
  hooks->release = [&released](std::byte* data, std::uint64_t bytes, int fd) {
    released.push_back(bytes);
    ::munmap(data, bytes);
    ::close(fd);
  };
  {
    const auto region = Region::map_peer(memory_file(announced), announced, false, hooks, wire::region_reach);
    ASSERT_TRUE(region) << region.error().message;
    EXPECT_EQ(region->size(), wire::region_reach);
    EXPECT_EQ(region->mapped(), wire::region_reach);
  }
  EXPECT_EQ(mapped, std::vector{wire::region_reach});
  EXPECT_EQ(released, mapped);
}

// In a process of its own, which the kernel would end.
TEST(RegionDeathTest, FilesThatTheProcessMayNotMakeAreRefusedInWords) {
  const auto try_all = [] {
    constexpr rlim_t size = 1 << 20;
    const struct rlimit limit = {size, size};
    const char* const words = "1048576 bytes (RLIMIT_FSIZE, ulimit -f)";
    bool fell_back = false;
    const auto refused = [&](Region::Options options) {
      const auto region = Region::create("region-test", size + 1, options, fell_back);
      return !region && region.error().code == std::errc::file_too_large &&
             region.error().message.find(words) != std::string::npos;
    };
    return ::setrlimit(RLIMIT_FSIZE, &limit) == 0 && refused({}) && refused({.prefault = true}) &&
           refused({.huge_pages = true}) && Region::create("region-test", size, {.prefault = true}, fell_back);
  };
  EXPECT_EXIT(::_exit(try_all() ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST_F(RegionTest, TruncatedFileIsRefused) {
  const Fd file = memory_file(4 * page);
  Fd sent = duplicate(file);
  ASSERT_EQ(::ftruncate(file.get(), page), 0);
  expect_refused(std::move(sent), 4 * page, "the file has 4096");
}

TEST_F(RegionTest, ReadOnlyAndWriteOnlyDescriptorsAreRefused) {
  const Fd file = memory_file(page);
  expect_refused(reopened(file, O_RDONLY), page, "not open for reading and writing");
  expect_refused(reopened(file, O_WRONLY), page, "not open for reading and writing");
  expect_refused(reopened(file, O_PATH), page, "not a memory file");
}

TEST_F(RegionTest, WriteSealedMemoryIsRefused) {
  expect_refused(memory_file(page, F_SEAL_WRITE), page, "sealed against writing");
  expect_refused(memory_file(page, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE), page, "sealed against writing");
}

TEST_F(RegionTest, SealedMemoryCanBeRequired) {
  const auto unsealed = Region::map_peer(memory_file(page), page, true);
  ASSERT_FALSE(unsealed);
  EXPECT_EQ(unsealed.error().code, Errc::unsealed_memory);
  const auto grow_only = Region::map_peer(memory_file(page, F_SEAL_GROW), page, true);
  ASSERT_FALSE(grow_only);
  EXPECT_EQ(grow_only.error().code, Errc::unsealed_memory);
  EXPECT_TRUE(Region::map_peer(memory_file(page, F_SEAL_SHRINK), page, true));
}

TEST_F(RegionTest, SharedMemoryObjectsAreAccepted) {
  const std::string name = "/region-test" + std::to_string(::getpid());
  Fd fd(::shm_open(name.c_str(), O_CREAT | O_RDWR, 0600));
  ASSERT_TRUE(fd);
  ::shm_unlink(name.c_str());
  ASSERT_EQ(::ftruncate(fd.get(), page), 0);
  const auto region = Region::map_peer(std::move(fd), page, false);
  EXPECT_TRUE(region);
}

TEST_F(RegionTest, WhatIsNoMemoryIsRefused) {
  const char* const words = "not a memory file";
  expect_refused(Fd(), page, words);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  expect_refused(Fd(ends[0]), page, words);
  expect_refused(Fd(ends[1]), page, words);
  expect_refused(Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)), page, words);
  expect_refused(Fd(::eventfd(0, EFD_CLOEXEC)), page, words);
  expect_refused(Fd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), page, words);
  expect_refused(Fd(::open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), page, words);
  expect_refused(Fd(::open("/dev/zero", O_RDWR | O_CLOEXEC)), page, words);
  expect_refused(Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)), page, words);
}

// A mapping of a file that is not memory can wait for a disk, a network or a daemon of the peer's.
TEST_F(RegionTest, FileOnDiskIsRefusedFromAPeerButNotFromTheApplication) {
  char name[] = "/var/tmp/memif-region-XXXXXX";
  Fd fd(::mkostemp(name, O_CLOEXEC));
  ASSERT_TRUE(fd);
  ::unlink(name);
  ASSERT_EQ(::ftruncate(fd.get(), page), 0);
  if (::fcntl(fd.get(), F_GET_SEALS) >= 0) GTEST_SKIP() << "/var/tmp is memory here";
  EXPECT_TRUE(Region::map_external(fd.get(), page));
  expect_refused(std::move(fd), page, "not a memory file");
}

TEST_F(RegionTest, ExternalMemoryIsSharedAndItsDescriptorStaysTheCallers) {
  const Fd file = memory_file(2 * page, F_SEAL_SHRINK);
  {
    auto region = Region::map_external(file.get(), 2 * page);
    ASSERT_TRUE(region) << region.error().message;
    EXPECT_TRUE(region->external());
    EXPECT_TRUE(region->sealed());
    EXPECT_NE(region->fd(), file.get());
    EXPECT_TRUE(::fcntl(region->fd(), F_GETFD) & FD_CLOEXEC);
    region->data()[0] = std::byte{9};
  }
  char first = 0;
  ASSERT_EQ(::pread(file.get(), &first, 1, 0), 1);
  EXPECT_EQ(first, 9);
}

TEST_F(RegionTest, ExternalMemoryThatCannotBeIsRefused) {
  const Fd file = memory_file(page);
  EXPECT_EQ(Region::map_external(file.get(), page + 1).error().code, Errc::invalid_config);
  EXPECT_EQ(Region::map_external(file.get(), 0).error().code, Errc::invalid_config);
  EXPECT_EQ(Region::map_external(-1, page).error().code, std::errc::bad_file_descriptor);
  const Fd zero(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(Region::map_external(zero.get(), page).error().code, Errc::invalid_config);
  const Fd read_only = reopened(file, O_RDONLY);
  EXPECT_EQ(Region::map_external(read_only.get(), page).error().code, std::errc::permission_denied);
}

std::size_t descriptors_of(const std::string& file) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    count += std::filesystem::read_symlink(entry, gone).string().find(file) != std::string::npos ? 1 : 0;
  }
  return count;
}

// A peer may have locks on it, which closing takes time for, or pages beyond what is mapped.
TEST_F(RegionTest, PeersFileIsNotClosedByTheCaller) {
  while (test::threads_named("memif-close") != 0) std::this_thread::yield();
  std::thread([] {
    test::refuse_threads();
    Region region = Region::map_peer(memory_file(page), page, false).value();
    const int fd = region.fd();
    region.close_file();
    EXPECT_EQ(region.fd(), -1);
    EXPECT_NE(::fcntl(fd, F_GETFD), -1);
  }).join();
}

TEST_F(RegionTest, ApplicationThatReleasesAPeersMemoryIsNotTheLastToHaveItsFile) {
  std::size_t left = 0;
  const auto hooks = std::make_shared<MemoryHooks>();
  hooks->map = [](std::uint64_t bytes, int fd) {
    return static_cast<std::byte*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  };
  hooks->release = [&left](std::byte* data, std::uint64_t bytes, int fd) {
    ::munmap(data, bytes);
    ::close(fd);
    left = descriptors_of("memfd:region-test");
  };
  Region::map_peer(memory_file(page), page, false, hooks).value();
  EXPECT_EQ(left, 1u);
  hooks->release = nullptr;  // then it is closed here, without the application
  std::byte* const data = Region::map_peer(memory_file(page), page, false, hooks).value().data();
  ::munmap(data, page);
}

// Each is paid for whole.
TEST_F(RegionTest, PagesCountWhateverIsAnnouncedOfThem) {
  const auto small = Region::map_peer(memory_file(page), 64, false, nullptr, page - 1);
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().code, Errc::too_much_memory);
  EXPECT_EQ(Region::map_peer(memory_file(page), 64, false, nullptr, page).value().mapped(), page);

  constexpr std::uint64_t huge_page = std::uint64_t{2} << 20;
  Fd huge(::memfd_create("region-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | (21U << 26)));
  if (!huge) GTEST_SKIP() << "no huge pages of 2 MiB in this kernel";
  ASSERT_EQ(::ftruncate(huge.get(), huge_page), 0);
  const auto region = Region::map_peer(std::move(huge), 64, false, nullptr, huge_page - 1);
  ASSERT_FALSE(region);
  EXPECT_EQ(region.error().code, Errc::too_much_memory);
  EXPECT_NE(region.error().message.find("2097152 bytes"), std::string::npos) << region.error().message;
}

}  // namespace
}  // namespace memif
