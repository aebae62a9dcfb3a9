// Our documents as parts of manual pages: the part of Markdown that docs/ uses. Headings, paragraphs, lists, tables,
// code blocks; **bold**, `code`, [links](away).
#pragma once

#include <string>
#include <string_view>

#include "manual/roff.hpp"

namespace memif::tool {

// The text of the first heading; empty without one.
std::string markdown_title(std::string_view document);

// Everything but the first heading. What comes before the first section stands under `introduction`.
void write_markdown(Roff& page, std::string_view document, std::string_view introduction);

// Text of one paragraph.
std::string roff_from_markdown(std::string_view text);

}  // namespace memif::tool
