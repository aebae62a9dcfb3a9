// Manual pages: one for the command and each of its subcommands, from the texts of --help, and those that are
// documents.
#pragma once

#include <string>
#include <string_view>

#include "manual/roff.hpp"
#include "manual/tree.hpp"

namespace memif::tool {

struct ManualEdition {
  std::string version;  // "memif 0.1.0"
  std::string date;     // YYYY-MM-DD
};

// The page of `command`, which is `root` or one of its subcommands. `document` is its document in Markdown, whose
// sections are added; it may be empty.
std::string man_page(const ManualCommand& root, const ManualCommand& command, std::string_view document,
                     const ManualEdition& edition);

// A whole page from a document. Its first heading is what the page says of itself.
std::string man_page(std::string_view name, int section, std::string_view document, const ManualEdition& edition);

}  // namespace memif::tool
