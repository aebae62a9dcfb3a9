#include "perf/neighbor.hpp"

#include <gtest/gtest.h>

#include "net/neighbor.hpp"

namespace memif::tool {
namespace {

const Mac router{0x02, 0, 0, 0, 0, 0x0a};

PerfHosts hosts(const char* addresses) {
  return {parse_mac_range("02:00:00:00:01:00-02:00:00:00:01:01"), parse_address_range(addresses),
          parse_port_range("9")};
}

// What the neighbour says to `question`, as an answer about `target`.
std::optional<Mac> told(const PerfNeighbor& neighbor, const Bytes& question, const char* target) {
  const auto reply = neighbor.answer(question, question.size());
  return reply ? answer_of(*reply, parse_address(target)) : std::nullopt;
}

TEST(PerfNeighbor, AnswersForEachOfItsHosts) {
  const PerfNeighbor neighbor(Mode::ethernet, hosts("10.0.0.5-10.0.0.8"), {});
  for (const auto& [target, mac] : {std::pair("10.0.0.5", "02:00:00:00:01:00"), {"10.0.0.8", "02:00:00:00:01:01"}}) {
    const Bytes question = ask_for(parse_address(target), router, parse_address("10.0.0.1"));
    const auto answer = told(neighbor, question, target);
    ASSERT_TRUE(answer) << target;
    EXPECT_EQ(to_string(*answer), mac);
  }
  for (const char* other : {"10.0.0.4", "10.0.0.9"})
    EXPECT_FALSE(told(neighbor, ask_for(parse_address(other), router, parse_address("10.0.0.1")), other)) << other;
}

TEST(PerfNeighbor, AnswersSolicitations) {
  const PerfNeighbor neighbor(Mode::ethernet, hosts("fd00::5-fd00::8"), {});
  const Bytes question = ask_for(parse_address("fd00::6"), router, parse_address("fd00::1"));
  EXPECT_EQ(told(neighbor, question, "fd00::6"), parse_mac("02:00:00:00:01:01"));
}

TEST(PerfNeighbor, AnswersInItsVlanAndInNoOther) {
  const std::vector<std::uint16_t> own{100, 7}, other{100, 8}, outer{100};
  const PerfNeighbor neighbor(Mode::ethernet, hosts("10.0.0.5"), own);
  const Bytes bare = ask_for(parse_address("10.0.0.5"), router, parse_address("10.0.0.1"));
  const auto tagged = [&bare](const std::vector<std::uint16_t>& ids) {
    Bytes frame = bare;
    insert_vlans(frame, ids);
    return frame;
  };
  const Bytes question = tagged(own);
  const auto reply = neighbor.answer(question, question.size());
  ASSERT_TRUE(reply);
  const auto untagged = without_vlans(*reply, own);
  ASSERT_TRUE(untagged);
  EXPECT_TRUE(answer_of(*untagged, parse_address("10.0.0.5")));
  for (const Bytes& frame : {bare, tagged(other), tagged(outer)}) EXPECT_FALSE(neighbor.answer(frame, frame.size()));
}

TEST(PerfNeighbor, SaysNothingToWhatIsCutOrNoQuestion) {
  const PerfNeighbor neighbor(Mode::ethernet, hosts("10.0.0.5"), {});
  const Bytes question = ask_for(parse_address("10.0.0.5"), router, parse_address("10.0.0.1"));
  for (std::size_t size = 0; size < question.size(); ++size)
    EXPECT_FALSE(neighbor.answer(View(question).first(size), size)) << size;
  EXPECT_FALSE(neighbor.answer(View(question).first(20), question.size()));
  const Bytes others(64, 0xff);
  EXPECT_FALSE(neighbor.answer(others, others.size()));
}

}  // namespace
}  // namespace memif::tool
