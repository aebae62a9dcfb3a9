#include "manual/roff.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <sstream>

namespace memif::tool {
namespace {

constexpr std::size_t line_length = 78;

std::string upper(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::toupper(c); });
  return result;
}

// A dot or a quote would make a request of the line.
std::string safe_start(const std::string& line) {
  return line.starts_with('.') || line.starts_with('\'') ? "\\&" + line : line;
}

}  // namespace

std::string roff_escape(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '\\':
        result += "\\e";
        break;
      case '-':
        result += "\\-";
        break;
      case '\'':
        result += "\\(aq";
        break;
      case '`':
        result += "\\(ga";
        break;
      case '^':
        result += "\\(ha";
        break;
      case '~':
        result += "\\(ti";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string roff_bold(std::string_view text) { return "\\fB" + roff_escape(text) + "\\fR"; }
std::string roff_italic(std::string_view text) { return "\\fI" + roff_escape(text) + "\\fR"; }

Roff::Roff(std::string_view name, int section, std::string_view date, std::string_view version) {
  line("'\\\" t");  // there may be tables
  line(fmt::format(".TH {} {} {} \"{}\" \"memif manual\"", roff_escape(name), section, date, version));
  line(".ad l\n.nh");  // narrow columns cannot be adjusted, and an option must not be hyphenated
}

void Roff::heading(std::string_view title) {
  line(".SH " + roff_escape(upper(title)));
  begun_ = true;
}

void Roff::subheading(std::string_view title) {
  line(".SS " + roff_escape(title));
  begun_ = true;
}

void Roff::space() {
  if (!begun_) line(".PP");
}

void Roff::paragraph(const std::string& text) {
  space();
  words(text);
}

void Roff::item(const std::string& label, const std::string& text) {
  line(".TP");
  line(safe_start(label));
  words(text);
}

void Roff::literal(std::string_view lines) {
  space();
  line(".RS 4\n.EX");
  std::istringstream input{std::string(lines)};
  for (std::string each; std::getline(input, each);) line(safe_start(roff_escape(each)));
  line(".EE\n.RE");
}

void Roff::line(std::string_view request) {
  text_ += request;
  text_ += '\n';
  begun_ = false;
}

// Words on lines of a good length: long ones are hard to read, and mandoc says so.
void Roff::words(const std::string& text) {
  std::istringstream words(text);
  std::string current;
  for (std::string word; words >> word;) {
    if (!current.empty() && current.size() + 1 + word.size() > line_length) {
      line(safe_start(current));
      current.clear();
    }
    current += (current.empty() ? "" : " ") + word;
  }
  if (!current.empty()) line(safe_start(current));
}

}  // namespace memif::tool
