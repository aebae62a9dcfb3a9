#include "manual/markdown.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <sstream>
#include <utility>
#include <vector>

namespace memif::tool {
namespace {

using TableRow = std::vector<std::string>;

// A table must fit the page of a terminal of 80 columns, where text begins 7 columns in and ends 2 before.
constexpr std::size_t page_width = 71, between_columns = 2;

constexpr auto bullet = "\\(bu";

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// "12. " of a numbered list's item: its length; else 0.
std::size_t number_length(std::string_view line) {
  std::size_t digits = 0;
  while (digits < line.size() && std::isdigit(static_cast<unsigned char>(line[digits])) != 0) ++digits;
  return digits != 0 && line.substr(digits).starts_with(". ") ? digits + 2 : 0;
}

TableRow cells(std::string_view line) {
  TableRow result;
  line = trim(line);
  line.remove_prefix(1);
  std::string cell;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line.substr(i).starts_with("\\|")) {
      cell += line[++i];
    } else if (line[i] == '|') {
      result.emplace_back(trim(std::exchange(cell, {})));
    } else {
      cell += line[i];
    }
  }
  return result;
}

bool rule(const TableRow& row) {
  return std::all_of(row.begin(), row.end(),
                     [](const auto& cell) { return cell.find_first_not_of("-:") == cell.npos; });
}

// The text without what marks it.
std::string visible(std::string text) {
  std::erase_if(text, [](char c) { return c == '`' || c == '*'; });
  return text;
}

std::size_t longest_word(std::string_view text) {
  std::size_t longest = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    longest = std::max(longest, end - at);
    at = end;
  }
  return longest;
}

// Widths of columns for which the page is too narrow: each has room for its longest word, and the rest goes to those
// that want it, a column at a time.
std::vector<std::size_t> column_widths(const std::vector<TableRow>& table) {
  std::vector<std::size_t> wanted, widths;
  for (const TableRow& row : table) {
    wanted.resize(std::max(wanted.size(), row.size()));
    widths.resize(wanted.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      wanted[i] = std::max(wanted[i], visible(row[i]).size());
      widths[i] = std::max(widths[i], longest_word(visible(row[i])));
    }
  }
  std::size_t used = between_columns * widths.size();
  for (const std::size_t width : widths) used += width;
  for (bool grown = true; grown && used < page_width;) {
    grown = false;
    for (std::size_t i = 0; i < widths.size() && used < page_width; ++i) {
      if (widths[i] >= wanted[i]) continue;
      ++widths[i];
      ++used;
      grown = true;
    }
  }
  return widths;
}

class Converter {
 public:
  Converter(Roff& page, std::string_view introduction) : page_(page), introduction_(introduction) {}

  void add(const std::string& line);
  void end();

 private:
  void begin_block();
  void write_table();

  Roff& page_;
  std::string introduction_;  // empty once written
  std::string pending_;       // a paragraph or an item so far
  std::string label_;         // of the item; empty for a paragraph
  std::vector<TableRow> table_;
  std::string code_;
  bool in_code_ = false;
};

void Converter::begin_block() {
  if (!introduction_.empty()) page_.heading(std::exchange(introduction_, {}));
}

// Whatever was being collected is complete.
void Converter::end() {
  if (pending_.empty() && table_.empty()) return;
  begin_block();
  if (!table_.empty()) {
    write_table();
  } else if (label_.empty()) {
    page_.paragraph(roff_from_markdown(pending_));
  } else {
    page_.line(fmt::format(".IP {} {}", label_, label_ == bullet ? 2 : 4));
    page_.words(roff_from_markdown(pending_));
  }
  pending_.clear();
  label_.clear();
  table_.clear();
}

void Converter::add(const std::string& line) {
  if (line.starts_with("```")) {
    end();
    begin_block();
    if (in_code_) page_.literal(std::exchange(code_, {}));
    in_code_ = !in_code_;
  } else if (in_code_) {
    code_ += line + "\n";
  } else if (line.starts_with("#")) {
    end();
    const std::size_t level = line.find_first_not_of('#');
    const std::string title(trim(std::string_view(line).substr(level)));
    if (level > 1) introduction_.clear();
    if (level == 2) page_.heading(title);
    if (level > 2) page_.subheading(title);
  } else if (line.starts_with("|")) {
    if (table_.empty()) end();
    table_.push_back(cells(line));
  } else if (line.starts_with("- ") || number_length(line) != 0) {
    end();
    const std::size_t number = number_length(line);
    label_ = number == 0 ? bullet : line.substr(0, number - 1);
    pending_ = line.substr(number == 0 ? 2 : number);
  } else if (trim(line).empty()) {
    end();
  } else {
    if (!table_.empty() || (!label_.empty() && !line.starts_with(" "))) end();
    pending_ += (pending_.empty() ? "" : " ") + std::string(trim(line));
  }
}

void Converter::write_table() {
  std::erase_if(table_, rule);
  const std::vector<std::size_t> widths = column_widths(table_);
  std::string format;
  for (const std::size_t width : widths)
    format += fmt::format("{}lw({}n)", format.empty() ? "" : fmt::format("{} ", between_columns), width);
  page_.space();
  page_.line(".TS\n" + format + ".");
  for (const TableRow& row : table_) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string plain = i < row.size() ? row[i] : std::string();
      const std::string cell = &row == &table_.front() ? roff_bold(plain) : roff_from_markdown(plain);
      if (i != 0) line += '\t';
      if (!plain.empty()) line += visible(plain).size() > widths[i] ? "T{\n" + cell + "\nT}" : cell;
    }
    page_.line(line);
  }
  page_.line(".TE");
}

}  // namespace

std::string markdown_title(std::string_view document) {
  if (!document.starts_with("# ")) return {};
  return std::string(document.substr(2, document.find('\n') - 2));
}

void write_markdown(Roff& page, std::string_view document, std::string_view introduction) {
  Converter converter(page, introduction);
  std::istringstream lines{std::string(document)};
  for (std::string line; std::getline(lines, line);) converter.add(line);
  converter.end();
}

std::string roff_from_markdown(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t special = std::min(text.find_first_of("`*["), text.size());
    result += roff_escape(text.substr(0, special));
    text.remove_prefix(special);
    if (text.empty()) break;
    const std::string_view mark = text.starts_with("**") ? "**" : text.substr(0, 1);
    const std::string_view inner = text.substr(mark.size());
    const std::size_t end = inner.find(mark == "[" ? "](" : mark);
    const std::size_t away = mark == "[" && end != inner.npos ? inner.find(')', end) : end;
    if (mark == "*" || away == inner.npos) {  // no mark after all
      result += roff_escape(mark);
      text = inner;
      continue;
    }
    result += mark == "[" ? roff_from_markdown(inner.substr(0, end)) : roff_bold(inner.substr(0, end));
    text = inner.substr(mark == "[" ? away + 1 : end + mark.size());
  }
  return result;
}

}  // namespace memif::tool
