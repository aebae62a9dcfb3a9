// A value or the Error that prevented it: memif/error.hpp.
#include <gtest/gtest.h>
#include <memory>
#include <string>

#include <memif/error.hpp>

namespace memif {
namespace {

const Error refused{Errc::wrong_secret, "no"};

TEST(Result, GivesItsValueInPlaceOrAway) {
  Result<std::string> named("name");
  named.value() += "d";
  const Result<std::string>& fixed = named;
  EXPECT_EQ(fixed.value(), "named");
  EXPECT_EQ(&fixed.value(), &*named);
  Result<std::unique_ptr<int>> owned(std::make_unique<int>(7));
  EXPECT_EQ(*owned.value(), 7);
  const std::unique_ptr<int> taken = std::move(owned).value();
  EXPECT_EQ(*taken, 7);
  EXPECT_EQ(owned.value(), nullptr);
}

TEST(Result, ThrowsItsErrorWhereTheValueIsAskedFor) {
  Result<std::string> none(refused);
  const Result<std::string>& fixed = none;
  EXPECT_THROW(none.value(), Exception);
  EXPECT_THROW(fixed.value(), Exception);
  EXPECT_THROW(std::move(none).value(), Exception);
  try {
    none.value();
  } catch (const Exception& error) {
    EXPECT_EQ(error.code(), Errc::wrong_secret);
    EXPECT_STREQ(error.what(), "no");
  }
}

}  // namespace
}  // namespace memif
