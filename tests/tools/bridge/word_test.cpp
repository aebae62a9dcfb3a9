#include "bridge/word.hpp"

#include <array>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <random>
#include <sstream>
#include <string>

#include "common/command.hpp"

namespace memif::tool {
namespace {

TEST(BridgeWord, Memif) {
  const auto port = std::get<PortOptions>(parse_bridge_word("memif:@lab,role=server,id=3"));
  EXPECT_EQ(port.config.socket, "@lab");
  EXPECT_EQ(port.config.id, 3u);
  EXPECT_FALSE(port.wait);
  EXPECT_TRUE(port.reconnect);
}

TEST(BridgeWord, Tap) {
  const auto tap = std::get<TapOptions>(
      parse_bridge_word("tap:lab0,address=10.0.0.1/24,address=fd00::1/64,mtu=9000,mac=02:00:00:00:00:01,netns=left"));
  EXPECT_EQ(tap.name, "lab0");
  ASSERT_EQ(tap.addresses.size(), 2u);
  EXPECT_EQ(to_string(tap.addresses[0].address), "10.0.0.1");
  EXPECT_EQ(tap.addresses[1].length, 64u);
  EXPECT_EQ(tap.mtu, 9000u);
  EXPECT_EQ(tap.mac, (Mac{2, 0, 0, 0, 0, 1}));
  EXPECT_EQ(tap.netns, "left");
  EXPECT_TRUE(tap.offload);
  EXPECT_FALSE(std::get<TapOptions>(parse_bridge_word("tap:lab0,offload=no")).offload);
}

TEST(BridgeWord, Xdp) {
  const auto xdp = std::get<XdpOptions>(parse_bridge_word("xdp:eth1,queue=2,mode=zero-copy,netns=left"));
  EXPECT_EQ(xdp.interface, "eth1");
  EXPECT_EQ(xdp.queue, 2u);
  EXPECT_EQ(xdp.mode, XdpMode::zero_copy);
  EXPECT_EQ(std::get<XdpOptions>(parse_bridge_word("xdp:eth1")).mode, XdpMode::any);
}

TEST(BridgeWord, Pcap) {
  const auto pcap = std::get<PcapOptions>(parse_bridge_word("pcap:in=a.pcap,out=/tmp/b.pcap,loop=3,pace=top"));
  EXPECT_EQ(pcap.in, "a.pcap");
  EXPECT_EQ(pcap.out, "/tmp/b.pcap");
  EXPECT_EQ(pcap.loops, 3u);
  EXPECT_TRUE(pcap.top_speed);
}

// The help and the shells are told the same list.
TEST(BridgeWord, IsInTheDocsInEachOfItsForms) {
  std::ifstream file(DOCS_DIR "/bridge.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}}, help = bridge_word_help();
  std::istringstream forms(bridge_word_values());
  int count = 0;
  for (std::string form; std::getline(forms, form, '|'); ++count) {
    EXPECT_NE(page.find("\n| `" + form), std::string::npos) << form << " is not in docs/bridge.md";
    EXPECT_NE(help.find(form), std::string::npos) << form;
    EXPECT_NO_THROW(parse_bridge_word(form)) << form;
  }
  EXPECT_GT(count, 1);  // else this tests nothing
}

TEST(BridgeWord, RefusesNonsense) {
  for (const char* word : {"",
                           "tap",
                           "tap:",
                           "tap:,",
                           "tap:a/b",
                           "tap:..",
                           "tap:0123456789abcdef",
                           "tap:x=1",
                           "tap:a b",
                           "tap:lab%d",
                           "tap:a,",
                           "tap:a,mtu",
                           "tap:a,mtu=",
                           "tap:a,mtu=67",
                           "tap:a,offload=maybe",
                           "tap:a,mtu=70000",
                           "tap:a,address=10.0.0.1",
                           "tap:a,address=10.0.0.1/33",
                           "tap:a,mac=1",
                           "tap:a,netns=../x",
                           "tap:a,colour=red",
                           "xdp",
                           "xdp:",
                           "xdp:e,queue=-1",
                           "xdp:e,mode=fast",
                           "xdp:e,mtu=1500",
                           "pcap",
                           "pcap:",
                           "pcap:a.pcap",
                           "pcap:loop=2",
                           "pcap:in=a,out=a",
                           "pcap:in=a,loop=0",
                           "pcap:in=a,pace=slow",
                           "memif:",
                           "memif:@a,mode=ip",
                           "memif:@a,id=x",
                           "bond:a",
                           ":",
                           ",",
                           "tap;a"})
    EXPECT_THROW(parse_bridge_word(word), UsageError) << word;
}

TEST(BridgeWord, NamesTheWordThatIsWrong) {
  try {
    parse_bridge_word("tap:lab0,mtu=1");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("tap:lab0,mtu=1"), std::string::npos) << error.what();
  }
}

// Whatever is typed is a port or wrong usage, nothing else; and a TAP's or interface's name is always one that is safe.
TEST(BridgeWord, AnyTextIsAPortOrWrongUsage) {
  const std::array<std::string, 24> pieces{"memif:",   "tap:",        "xdp:",
                                           "pcap:",    "@a",          "lab0",
                                           "in=",      "out=",        ",",
                                           "=",        ":",           "mtu=",
                                           "1500",     "mode=",       "copy",
                                           "queue=",   "netns=",      "mac=",
                                           "/",        "..",          "99999999999999999999999",
                                           "address=", "10.0.0.1/24", std::string(1, '\0')};
  std::mt19937 random(6);
  unsigned ports = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string word;
    for (auto left = random() % 9; left != 0; --left) word += pieces[random() % pieces.size()];
    if (!word.empty() && random() % 8 == 0) word[random() % word.size()] = static_cast<char>(random());
    try {
      const BridgeWord port = parse_bridge_word(word);
      ++ports;
      if (const auto* tap = std::get_if<TapOptions>(&port)) {
        EXPECT_FALSE(tap->name.empty() || tap->name.size() > 15) << word;
        EXPECT_EQ(tap->name.find_first_of("/%, "), std::string::npos) << word;
        EXPECT_EQ(tap->netns.find('/'), std::string::npos) << word;
      }
    } catch (const UsageError&) {
    }
  }
  EXPECT_GT(ports, 100u);  // else this tests nothing
}

}  // namespace
}  // namespace memif::tool
