// Manual pages and completions: what becomes of texts that mean something to troff or to a shell.
#include <gmock/gmock.h>

#include "common/options.hpp"
#include "manual/markdown.hpp"
#include "manual/page.hpp"
#include "manual/shell.hpp"
#include "manual/tree.hpp"

namespace memif::tool {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StrEq;

std::string converted(const char* document) {
  Roff page("memif", 7, "2026-01-31", "memif 1.0");
  const std::size_t start = page.text().size();
  write_markdown(page, document, "Intro");
  return page.text().substr(start);
}

// A command with a subcommand of every kind of option.
struct Sample {
  CommandLine app{"sample", "sample tools"};
  std::string name, kind;
  std::vector<std::string> files;
  bool quiet = false;

  Sample() {
    app.footer("Exit codes: 0 done.\nExample: sample one");
    Command one = app.add_subcommand("one", "do one's work");
    one.add_option("FILE", files, "which").required();
    one.add_option("-k,--kind", kind, "what [kind]: it's").type_name("tap:NAME|raw|cooked");
    one.add_option("--name", name, "no choice").type_name("TEXT");
    one.add_flag("-q,--quiet", quiet, "say less");
    one.add_flag("--hidden", quiet, "secret").group("");
    one.footer("Two lines of\nprose.\nExample: sample one a.b\nExample: sample one -q c");
  }
};

TEST(ManualTree, HasTheTextsOfTheHelp) {
  const Sample sample;
  const ManualCommand root = read_manual(sample.app);
  EXPECT_EQ(root.name, "sample");
  EXPECT_THAT(root.notes, IsEmpty());
  EXPECT_THAT(root.examples, ElementsAre("sample one"));
  ASSERT_EQ(root.commands.size(), 1U);
  const ManualCommand& one = root.commands.front();
  EXPECT_EQ(one.notes, "Two lines of prose.");
  EXPECT_THAT(one.examples, ElementsAre("sample one a.b", "sample one -q c"));
  ASSERT_EQ(one.arguments.size(), 1U);
  EXPECT_TRUE(one.arguments[0].required && one.arguments[0].repeated && one.arguments[0].path());
  ASSERT_EQ(one.options.size(), 4U);  // with --help, without what is hidden
  EXPECT_THAT(one.options[1].names, ElementsAre("-k", "--kind"));
  EXPECT_THAT(one.options[1].choices(), ElementsAre("tap:", "raw", "cooked"));
  EXPECT_THAT(one.options[2].choices(), IsEmpty());
  EXPECT_THAT(one.options[3].value, IsEmpty());
}

TEST(ManualRoff, NothingInATextIsARequest) {
  EXPECT_EQ(roff_escape(R"(a\b 'c' -d `e`)"), R"(a\eb \(aqc\(aq \-d \(gae\(ga)");
  EXPECT_THAT(converted(".so /etc/passwd"), HasSubstr("\n\\&.so /etc/passwd\n"));
  EXPECT_THAT(converted("```\n.br\n'x\n```"), HasSubstr("\n\\&.br\n\\(aqx\n"));
}

TEST(ManualRoff, WordsThatWrapToTheStartOfALineAreNoRequestsEither) {
  std::string text(75, 'x');
  text += " .so y";  // GCC 12 warns, wrongly, of a sum
  EXPECT_THAT(converted(text.c_str()), HasSubstr("\n\\&.so y\n"));
}

TEST(ManualMarkdown, Paragraphs) {
  EXPECT_EQ(converted("# Title\n\nOne\nline.\n\nAnother.\n\n## Next\nText."),
            ".SH INTRO\nOne line.\n.PP\nAnother.\n.SH NEXT\nText.\n");
  EXPECT_EQ(markdown_title("# A title\n\ntext"), "A title");
}

TEST(ManualMarkdown, NoIntroductionWhereADocumentStartsWithASection) {
  EXPECT_EQ(converted("# Title\n## Only\n### Sub\ntext"), ".SH ONLY\n.SS Sub\ntext\n");
}

TEST(ManualMarkdown, MarksWithinALine) {
  EXPECT_EQ(roff_from_markdown("a `--b` **c** [d `e`](f.md#g)"), R"(a \fB\-\-b\fR \fBc\fR d \fBe\fR)");
  EXPECT_EQ(roff_from_markdown("2*3 [x] `open"), R"(2*3 [x] \(gaopen)");
}

TEST(ManualMarkdown, Lists) {
  EXPECT_EQ(converted("- one\n  goes on\n- two\n\n1. first\n"),
            ".SH INTRO\n.IP \\(bu 2\none goes on\n.IP \\(bu 2\ntwo\n.IP 1. 4\nfirst\n");
}

TEST(ManualMarkdown, Tables) {
  EXPECT_EQ(converted("| a | b |\n|---|:-:|\n| `c` | x\\|y |\n"),
            ".SH INTRO\n.TS\nlw(1n)2 lw(3n).\n\\fBa\\fR\t\\fBb\\fR\n\\fBc\\fR\tx|y\n.TE\n");
}

TEST(ManualMarkdown, WideTablesBreakLinesAndFitThePage) {
  const std::string wide(60, 'a');
  const std::string text = converted(("| k | v |\n|---|---|\n| k | " + wide + " and then some more |\n").c_str());
  EXPECT_THAT(text, HasSubstr("lw(1n)2 lw(66n)."));
  EXPECT_THAT(text, HasSubstr("k\tT{\n" + wide + " and then some more\nT}\n"));
}

TEST(ManualPage, NamesEverythingOfItsCommand) {
  const Sample sample;
  const ManualCommand root = read_manual(sample.app);
  const std::string page = man_page(root, root.commands[0], "# One\n## Extra\nMore.", {"sample 1.0", "2026-01-31"});
  EXPECT_THAT(page, HasSubstr(".TH sample\\-one 1 2026-01-31 \"sample 1.0\""));
  EXPECT_THAT(page, HasSubstr("sample\\-one \\- do one\\(aqs work\n"));
  EXPECT_THAT(page, HasSubstr("\\fIFILE\\fR..."));
  EXPECT_THAT(page,
              HasSubstr("\\fB\\-k\\fR, \\fB\\-\\-kind\\fR \\fItap:NAME|raw|cooked\\fR\nWhat [kind]: it\\(aqs.\n"));
  EXPECT_THAT(page, HasSubstr(".SH EXTRA\nMore.\n"));
  EXPECT_THAT(page, HasSubstr("sample one \\-q c\n"));
  EXPECT_THAT(page, Not(HasSubstr("secret")));
}

TEST(ManualShell, ZshSeesNoMarkInADescription) {
  const Sample sample;
  const std::string script = zsh_completion(read_manual(sample.app));
  EXPECT_THAT(script, HasSubstr(R"('(-k --kind)'{-k+,--kind=}'[what \[kind\]\: it'\''s]:)"));
  EXPECT_THAT(script, HasSubstr(R"('one:do one'\''s work')"));
}

TEST(ManualShell, BashOffersFilesChoicesOrNothing) {
  const Sample sample;
  const std::string script = bash_completion(read_manual(sample.app));
  EXPECT_THAT(script, HasSubstr("-k | --kind) options='' offer='tap: raw cooked' ;;"));
  EXPECT_THAT(script, HasSubstr("--name) options='' offer='' ;;"));
  EXPECT_THAT(script, HasSubstr("offer='FILE'"));
}

}  // namespace
}  // namespace memif::tool
