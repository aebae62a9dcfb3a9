// Who may write in a socket's directory may put another file in the place of any there, at any moment. Whatever they
// do between two system calls of ours, that file gets neither the mode nor the owner that the socket is to have, and is
// not removed.
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "protocol/listen_socket.hpp"
#include "support/nobody.hpp"
#include "support/traced.hpp"

namespace memif {
namespace {

constexpr mode_t theirs = 0640;

class SocketRace : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "giving files away needs root";
    char name[] = "/tmp/memif-race-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string at(const std::string& name) const { return dir_ + "/" + name; }

  // The victim: a file, or a socket that somebody listens on.
  void make_victim() {
    std::filesystem::remove_all(dir_);
    ASSERT_EQ(::mkdir(dir_.c_str(), 0777), 0);
    if (GetParam()) {
      socket_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const SocketAddress target = to_sockaddr(*parse_address(at("victim")));
      ASSERT_EQ(::bind(socket_.get(), target.get(), target.length), 0);
      ASSERT_EQ(::listen(socket_.get(), 4), 0);
    } else {
      const Fd file(::open(at("victim").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, theirs));
    }
    ASSERT_EQ(::chmod(at("victim").c_str(), theirs), 0);
    ASSERT_EQ(::stat(at("victim").c_str(), &victim_), 0);
  }

  // Another name of the victim in the place of what has the name; a directory, in which it is, in that of a directory.
  void put_victim_at(const std::filesystem::path& path) {
    const bool directory = std::filesystem::is_directory(path);
    const std::string name = path.filename();
    std::filesystem::rename(path, at("moved-" + name));
    if (directory) {
      ASSERT_EQ(::mkdir(path.c_str(), 0777), 0);
      ASSERT_EQ(::link(at("victim").c_str(), (path / "s").c_str()), 0);
    } else {
      ASSERT_EQ(::link(at("victim").c_str(), path.c_str()), 0);
    }
  }

  void expect_victim_unharmed(const std::string& name) {
    struct stat now {};
    ASSERT_EQ(::lstat(at(name).c_str(), &now), 0) << name << " has gone";
    EXPECT_EQ(now.st_ino, victim_.st_ino) << name << " is another file";
    EXPECT_EQ(now.st_mode, victim_.st_mode) << std::oct << now.st_mode;
    EXPECT_EQ(now.st_uid, victim_.st_uid);
    EXPECT_EQ(now.st_gid, victim_.st_gid);
  }

  // Everything that the process makes, and that has its own name, is exchanged at one stop. False: there was no such
  // stop.
  bool race_at(unsigned stop, bool with_leftover) {
    make_victim();
    const Address address = *parse_address(at("s"));
    if (with_leftover) {
      const Fd stale(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
      const SocketAddress target = to_sockaddr(address);
      EXPECT_EQ(::bind(stale.get(), target.get(), target.length), 0);
    }
    unsigned count = 0;
    std::vector<std::string> exchanged;
    const int code = test::run_traced(
        [&] {
          return ListenSocket::open(address, {.mode = 0666, .owner = test::nobody, .group = test::nogroup}) ? 0 : 1;
        },
        [&](pid_t) {
          if (count++ != stop) return;
          std::vector<std::filesystem::path> there;
          for (const auto& entry : std::filesystem::directory_iterator(dir_))
            if (entry.path().filename() != "victim") there.push_back(entry.path());
          for (const auto& path : there) {
            put_victim_at(path);
            exchanged.push_back(path.filename().string() + (std::filesystem::is_directory(path) ? "/s" : ""));
          }
        });
    traced_ = code != test::cannot_be_traced;
    expect_victim_unharmed("victim");
    for (const std::string& name : exchanged) expect_victim_unharmed(name);
    raced_ += exchanged.size();
    return traced_ && count > stop;
  }

  void race(bool with_leftover) {
    for (unsigned stop = 0;; ++stop) {
      const bool more = race_at(stop, with_leftover);
      ASSERT_FALSE(HasFailure()) << "at stop " << stop;
      if (!traced_) GTEST_SKIP() << "processes cannot be traced here";
      if (!more) break;
    }
    EXPECT_GT(raced_, 20u);
  }

  std::string dir_;
  Fd socket_;
  struct stat victim_ {};
  bool traced_ = true;
  std::size_t raced_ = 0;
};

TEST_P(SocketRace, AFileInTheSocketsPlaceIsLeftAsItIs) { race(false); }
TEST_P(SocketRace, NorIsOneInThePlaceOfALeftover) { race(true); }

// Nor is a socket made where the name of our directory leads by now.
TEST_P(SocketRace, ALinkToAnotherDirectoryIsNotFollowed) {
  unsigned count = 1, linked = 0;
  for (unsigned stop = 0; stop < count; ++stop) {
    std::filesystem::remove_all(dir_);
    ASSERT_EQ(::mkdir(dir_.c_str(), 0777), 0);
    ASSERT_EQ(::mkdir(at("elsewhere").c_str(), 0777), 0);
    count = 0;
    const int code = test::run_traced([&] { return ListenSocket::open(*parse_address(at("s")), {}) ? 0 : 1; },
                                      [&](pid_t) {
                                        if (count++ != stop) return;
                                        std::vector<std::filesystem::path> there;
                                        for (const auto& entry : std::filesystem::directory_iterator(dir_))
                                          if (entry.is_directory() && entry.path().filename() != "elsewhere")
                                            there.push_back(entry.path());
                                        for (const auto& path : there) {
                                          std::filesystem::rename(path, at("moved"));
                                          std::filesystem::create_directory_symlink(at("elsewhere"), path);
                                          ++linked;
                                        }
                                      });
    if (code == test::cannot_be_traced) GTEST_SKIP() << "processes cannot be traced here";
    EXPECT_TRUE(std::filesystem::is_empty(at("elsewhere"))) << "at stop " << stop;
  }
  EXPECT_GT(linked, 5u);
}

INSTANTIATE_TEST_SUITE_P(Victim, SocketRace, testing::Bool(),
                         [](const auto& one) { return one.param ? "Listener" : "File"; });

}  // namespace
}  // namespace memif
