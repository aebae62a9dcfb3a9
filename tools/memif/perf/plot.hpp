// Curves as SVG, for reports that need nothing from elsewhere. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace memif::tool {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points{};  // in the order of x
};

struct Plot {
  std::string title, x_label, y_label;
  std::vector<Curve> curves{};
  bool log_y = false;                  // then values of 0 and less are left out
  std::vector<std::string> x_names{};  // for x = 0, 1, 2, ...: names in place of numbers
};

// An <svg> element. Colours and fonts are those of the classes that `plot_style` defines.
std::string svg(const Plot& plot);
extern const char* const plot_style;

// Text as HTML and SVG show it, whatever is in it.
std::string escape_html(std::string_view text);

}  // namespace memif::tool
