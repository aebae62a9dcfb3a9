#include "common/port_options.hpp"

#include <cstdio>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "common/command.hpp"
#include "common/options.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

PortOptions from_options(const std::vector<std::string>& words) {
  CommandLine app("memif", "a test");
  PortOptions options;
  add_port_options(app, options);
  std::vector<const char*> arguments{"memif"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  EXPECT_TRUE(app.parse(static_cast<int>(arguments.size()), arguments.data()));
  return options;
}

std::string refusal(const std::string& word) {
  try {
    parse_port_word(word);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(PortWord, HasDefaults) {
  const PortOptions port = parse_port_word("memif:/tmp/a.sock");
  EXPECT_EQ(port.config.socket, "/tmp/a.sock");
  EXPECT_EQ(port.config.id, 0u);
  EXPECT_EQ(port.config.role, Role::client);
  EXPECT_EQ(port.config.mode, Mode::ethernet);
  EXPECT_EQ(port.wait, 5s);
  EXPECT_FALSE(port.reconnect);
}

TEST(PortWord, SetsEverything) {
  const PortOptions port = parse_port_word(
      "memif:/a,id=7,role=server,secret=s=x,mode=ip,queues=2,ring=512,buffer=4KiB,wait=forever,rx-mode=polling,name=n,"
      "reconnect=100ms");
  EXPECT_EQ(port.config.id, 7u);
  EXPECT_EQ(port.config.role, Role::server);
  EXPECT_EQ(port.config.secret, "s=x");
  EXPECT_EQ(port.config.mode, Mode::ip);
  EXPECT_EQ(port.config.rx_queues, 2);
  EXPECT_EQ(port.config.tx_queues, 2);
  EXPECT_EQ(port.config.ring_size, 512u);
  EXPECT_EQ(port.config.buffer_size, 4096u);
  EXPECT_EQ(port.wait, std::nullopt);
  EXPECT_EQ(port.config.rx_mode, RxMode::polling);
  EXPECT_EQ(port.config.name, "n");
  EXPECT_TRUE(port.reconnect);
  EXPECT_EQ(port.config.reconnect, 100ms);
}

TEST(PortWord, LimitsThePeersMemory) {
  EXPECT_EQ(parse_port_word("memif:/a,max-peer-memory=64MiB").config.max_peer_memory, 64u << 20);
  EXPECT_EQ(from_options({"--max-peer-memory", "1GiB"}).config.max_peer_memory, 1u << 30);
  EXPECT_THAT(refusal("memif:/a,max-peer-memory=1"), HasSubstr("max_peer_memory 1: must be at least 4096"));
  EXPECT_THAT(refusal("memif:/a,max-peer-memory=99999999999GiB"), HasSubstr("max-peer-memory"));
}

TEST(PortWord, LimitsPackets) {
  EXPECT_EQ(parse_port_word("memif:/a").config.max_packet, 1u << 20);
  EXPECT_EQ(parse_port_word("memif:/a,max-packet=9000").config.max_packet, 9000u);
  EXPECT_EQ(from_options({"--max-packet", "256MiB"}).config.max_packet, 256u << 20);
  EXPECT_THAT(refusal("memif:/a,max-packet=257MiB"), HasSubstr("1 byte to 256 MiB"));
  EXPECT_THAT(refusal("memif:/a,max-packet=4GiB"), HasSubstr("1 byte to 256 MiB"));
  EXPECT_THAT(refusal("memif:/a,max-packet=0"), HasSubstr("max_packet 0: must be from 1"));
}

TEST(PortWord, TakesTheOptionsNamesToo) {
  EXPECT_EQ(parse_port_word("memif:/a,ring-size=64,buffer-size=64").config.ring_size, 64u);
}

TEST(PortWord, NamespacesBelongToTheAddress) {
  const PortOptions port = parse_port_word("memif:@x,netns_name=blue,id=3");
  EXPECT_EQ(port.config.socket, "@x,netns_name=blue");
  EXPECT_EQ(port.config.id, 3u);
  EXPECT_EQ(parse_port_word("memif:@x,id=3,netns_pid=12").config.socket, "@x,netns_pid=12");
  const PortOptions vpp = parse_port_word("memif:abstract:x,netns_name=/run/netns/a,id=4");
  EXPECT_EQ(vpp.config.socket, "abstract:x,netns_name=/run/netns/a");
  EXPECT_EQ(vpp.config.id, 4u);
  EXPECT_EQ(parse_port_word("memif:abstract:x,role=server,netns_name=a").config.socket, "abstract:x,netns_name=a");
  EXPECT_THAT(refusal("memif:/a,netns_name=blue"), HasSubstr("abstract"));
  EXPECT_THAT(refusal("memif:unix:@a,netns_name=blue"), HasSubstr("abstract"));
  EXPECT_THAT(refusal("memif:abstract:,id=1"), HasSubstr("needs a name"));
}

TEST(PortWord, TakesPathsAsVppWritesThem) {
  EXPECT_EQ(parse_port_word("memif:unix:/tmp/a.sock,id=1").config.socket, "unix:/tmp/a.sock");
  EXPECT_THAT(refusal("memif:unix:,id=1"), HasSubstr("path"));
}

TEST(PortWord, RefusalsNameWhatIsWrong) {
  EXPECT_THAT(refusal("tap:x"), HasSubstr("tap:x"));
  EXPECT_THAT(refusal("memif:"), HasSubstr("path"));
  EXPECT_THAT(refusal("memif:/a,colour=red"), HasSubstr("colour"));
  EXPECT_THAT(refusal("memif:/a,id"), HasSubstr("key=value"));
  EXPECT_THAT(refusal("memif:/a,id=-1"), HasSubstr("id"));
  EXPECT_THAT(refusal("memif:/a,id=4294967296"), HasSubstr("4294967296"));
  EXPECT_THAT(refusal("memif:/a,role=boss"), HasSubstr("boss"));
  EXPECT_THAT(refusal("memif:/a,queues=0"), HasSubstr("queues"));
  EXPECT_THAT(refusal("memif:/a,ring=1000"), HasSubstr("1000"));
  EXPECT_NE(refusal("memif:/a,buffer=9GiB"), "");
  EXPECT_NE(refusal("memif:/a,secret=abcdefghijklmnopqrstuvwxy"), "");
  EXPECT_NE(refusal("memif:/" + std::string(120, 'x')), "");
}

TEST(PortOptionsLine, SaysTheSameAsAWord) {
  const PortOptions port =
      from_options({"--socket", "/a", "--id", "7", "--role", "master", "--mode", "punt", "--queues", "4", "--ring-size",
                    "32", "--buffer-size", "2KiB", "--wait", "100ms", "--rx-mode", "interrupt"});
  EXPECT_EQ(port.config.socket, "/a");
  EXPECT_EQ(port.config.id, 7u);
  EXPECT_EQ(port.config.role, Role::server);
  EXPECT_EQ(port.config.mode, Mode::punt_inject);
  EXPECT_EQ(port.config.tx_queues, 4);
  EXPECT_EQ(port.config.ring_size, 32u);
  EXPECT_EQ(port.wait, 100ms);
  EXPECT_EQ(port.config.rx_mode, RxMode::interrupt);
}

TEST(PortOptionsLine, OptionsChangeWhatTheWordSays) {
  const PortOptions port = from_options({"--id", "9", "--port", "memif:/a,id=1,role=server"});
  EXPECT_EQ(port.config.id, 9u);
  EXPECT_EQ(port.config.role, Role::server);
}

struct Queues {
  unsigned rx, tx;
  bool operator==(const Queues&) const = default;
};
Queues queues_of(const std::string& word) {
  const InterfaceConfig config = interface_config(parse_port_word(word));
  return {config.rx_queues, config.tx_queues};
}

TEST(PortWord, AServerTakesAsManyQueuesAsItsClientBringsUnlessToldOtherwise) {
  EXPECT_EQ(queues_of("memif:/a"), (Queues{1, 1}));
  EXPECT_EQ(queues_of("memif:/a,role=server"), (Queues{256, 256}));
  EXPECT_EQ(queues_of("memif:/a,rx-queues=1,role=server"), (Queues{1, 256}));
  EXPECT_EQ(queues_of("memif:/a,role=server,tx-queues=2"), (Queues{256, 2}));
  EXPECT_EQ(queues_of("memif:/a,role=server,queues=1"), (Queues{1, 1}));
}

TEST(PortWord, QueuesEachWayAreSetApart) {
  EXPECT_EQ(queues_of("memif:/a,rx-queues=1,tx-queues=2"), (Queues{1, 2}));
  EXPECT_EQ(queues_of("memif:/a,queues=4,rx-queues=3"), (Queues{3, 4}));
  EXPECT_THAT(refusal("memif:/a,rx-queues=257"), HasSubstr("rx-queues"));
  EXPECT_THAT(refusal("memif:/a,tx-queues=0"), HasSubstr("tx-queues"));
}

TEST(PortOptionsLine, QueuesEachWayAreSetApart) {
  const PortOptions port = from_options({"--queues", "4", "--tx-queues", "2"});
  EXPECT_EQ(port.config.rx_queues, 4);
  EXPECT_EQ(port.config.tx_queues, 2);
}

TEST(PortOptionsLine, ReconnectHasAnOptionalPeriod) {
  EXPECT_FALSE(from_options({}).reconnect);
  EXPECT_TRUE(from_options({"--reconnect"}).reconnect);
  const PortOptions port = from_options({"--reconnect=2s"});
  EXPECT_TRUE(port.reconnect);
  EXPECT_EQ(port.config.reconnect, 2000ms);
  EXPECT_THROW(from_options({"--reconnect=soon"}), UsageError);
}

TEST(PortOptionsLine, SecretFromAFileIsItsFirstLine) {
  const std::string path = testing::TempDir() + "memif-secret-test";
  std::ofstream(path) << "sesame\n";
  EXPECT_EQ(from_options({"--secret-file", path}).config.secret, "sesame");
  std::remove(path.c_str());
  EXPECT_THROW(from_options({"--secret-file", path}), UsageError);
}

TEST(PortOptionsLine, AnEmptySecretIsNone) {
  const std::string path = testing::TempDir() + "memif-empty-secret-test";
  for (const char* text : {"", "\n", "\nsesame\n"}) {
    std::ofstream(path) << text;
    errno = ENOENT;  // of something before
    EXPECT_THAT(
        [&] {
          from_options({"--secret-file", path});
        },
        testing::ThrowsMessage<UsageError>(testing::HasSubstr("its first line is empty")));
  }
  std::remove(path.c_str());
}

}  // namespace
}  // namespace memif::tool
