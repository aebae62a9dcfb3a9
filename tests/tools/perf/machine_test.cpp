#include "perf/machine.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace memif::tool {
namespace {

using namespace std::string_view_literals;

TEST(Machine, SaysWhatItIs) {
  const auto machine = describe_machine();
  EXPECT_GT(machine.at("cpus").get<int>(), 0);
  EXPECT_TRUE(machine.at("kernel").is_string());
}

TEST(CommandLine, IsToldWithoutSecrets) {
  EXPECT_EQ(describe_command("memif\0perf\0--secret\0hush\0--rate\0001kpps\0"sv),
            "memif perf --secret ... --rate 1kpps");
  EXPECT_EQ(describe_command("memif\0--secret=hush"sv), "memif --secret=...");
  EXPECT_EQ(describe_command("memif:x,secret=hush,id=1\0"sv), "memif:x,secret=...,id=1");
  EXPECT_EQ(describe_command("memif:x,id=1,secret=hush hush"sv), "memif:x,id=1,secret=...");
}

TEST(CommandLine, IsToldAsAShellTakesIt) {
  EXPECT_EQ(describe_command("memif\0two words\0\0$x\x1b"sv), "memif 'two words' '' '$x\\x1b'");
  EXPECT_EQ(describe_command(""sv), "");
}

}  // namespace
}  // namespace memif::tool
