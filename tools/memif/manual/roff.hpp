// A manual page under construction: man(7) requests, with escapes and line breaks as troff and mandoc want them.
#pragma once

#include <string>
#include <string_view>

namespace memif::tool {

// Plain text for the middle of a line.
std::string roff_escape(std::string_view text);
std::string roff_bold(std::string_view text);
std::string roff_italic(std::string_view text);

class Roff {
 public:
  // The name is that of the page, such as "memif-ping"; the date is YYYY-MM-DD.
  Roff(std::string_view name, int section, std::string_view date, std::string_view version);

  void heading(std::string_view title);
  void subheading(std::string_view title);
  void paragraph(const std::string& text);                       // text here and below is escaped already
  void item(const std::string& label, const std::string& text);  // a label with text beside or below it
  void words(const std::string& text);                           // what goes on where the last request left off
  void literal(std::string_view lines);                          // kept as it is; not escaped yet
  void space();                                                  // an empty line, unless a heading is just above
  void line(std::string_view request);                           // a request or a line of a table, as it is

  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
  bool begun_ = false;  // nothing has come since the last heading
};

}  // namespace memif::tool
