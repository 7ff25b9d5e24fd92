#include "report/svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "report/axis.h"
#include "report/colour_scale.h"
#include "report/markup_check.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(MarkupCheck, FindsWhatIsWrong) {
  EXPECT_EQ(MarkupCheck::problem("<p class=\"a\">x &amp; y<br></p>"), "");
  for (const char* bad : {"<p>", "<p></b>", "<p class=a></p>", "a & b", "a > b", "<p"}) {
    EXPECT_NE(MarkupCheck::problem(bad), "") << bad;
  }
}

TEST(EscapeXml, ReplacesWhatMarkupReserves) {
  EXPECT_EQ(escape_xml("<a href=\"x\" b='y'>&"), "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;");
  EXPECT_EQ(escape_xml("gr\xc3\xa2"
                       "ce \xe2\x86\x92 \xf0\x9f\x98\x80"),
            "gr\xc3\xa2"
            "ce \xe2\x86\x92 \xf0\x9f\x98\x80");
}

TEST(EscapeXml, ReplacesBadBytesAndControls) {
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(escape_xml("a\xff"
                       "b"),
            "a" + bad + "b");
  EXPECT_EQ(escape_xml("\xe2\x82"), bad + bad);            // cut short
  EXPECT_EQ(escape_xml("\xc0\xaf"), bad + bad);            // overlong
  EXPECT_EQ(escape_xml("\xed\xa0\x80"), bad + bad + bad);  // a surrogate
  EXPECT_EQ(escape_xml("a\033b"), "a" + bad + "b");
  EXPECT_EQ(escape_xml("a\tb\nc"), "a\tb\nc");
}

TEST(SvgNumber, IsShort) {
  EXPECT_EQ(svg_number(12), "12");
  EXPECT_EQ(svg_number(0.5), "0.5");
  EXPECT_EQ(svg_number(1.0 / 3), "0.33");
  EXPECT_EQ(svg_number(-0.0001), "0");
  EXPECT_EQ(svg_number(std::numeric_limits<double>::infinity()), "0");
}

TEST(Svg, IsWellFormedWhateverIsWritten) {
  Svg svg(100, 50, "a <title> & \"more\"");
  svg.rect(0, 0, -5, std::numeric_limits<double>::quiet_NaN(), "bar", "tip <&>");
  svg.line(0, 0, 10, 10, "axis");
  svg.text(5, 5, "</svg><script>alert(1)</script>", "tick");
  svg.image(0, 0, 10, 10, "data:image/bmp;base64,AAAA");
  const std::string text = svg.str();
  EXPECT_EQ(MarkupCheck::problem(text), "") << text;
  EXPECT_THAT(text, Not(HasSubstr("<script")));
  EXPECT_THAT(text, HasSubstr("viewBox=\"0 0 100 50\""));
  EXPECT_THAT(text, HasSubstr(R"(width="0" height="0" class="bar")"));
}

TEST(Axis, TicksAreRoundAndEndBelowTheTop) {
  EXPECT_THAT(axis_ticks(41.2, 5), ElementsAre(0, 10, 20, 30, 40));
  EXPECT_THAT(axis_ticks(1.5, 2), ElementsAre(0, 1));
  EXPECT_THAT(axis_ticks(0.9, 4), ElementsAre(0, 0.25, 0.5, 0.75));
  EXPECT_THAT(axis_ticks(0, 5), ElementsAre(0));
  EXPECT_THAT(axis_ticks(std::numeric_limits<double>::infinity(), 5), ElementsAre(0));
  for (const double top : {1e-12, 3e-5, 0.07, 1.0, 6.6, 999.0, 1e15}) {
    const auto ticks = axis_ticks(top, 5);
    EXPECT_GE(ticks.size(), 3U) << top;
    EXPECT_LE(ticks.size(), 12U) << top;
    EXPECT_LE(ticks.back(), top * 1.0001) << top;
  }
}

TEST(Axis, TicksBetweenStartAtARoundNumber) {
  EXPECT_THAT(axis_ticks_between(1, 3, 4), ElementsAre(1, 1.5, 2, 2.5, 3));
  EXPECT_THAT(axis_ticks_between(0.7, 3.2, 3), ElementsAre(1, 2, 3));
  EXPECT_THAT(axis_ticks_between(2, 2, 4), ElementsAre(2));
  EXPECT_THAT(axis_ticks_between(0, std::numeric_limits<double>::infinity(), 4), ElementsAre(0));
}

TEST(Svg, CurvesAndManyRectangles) {
  Svg svg(10, 10, "x");
  const std::vector<std::pair<double, double>> one{{1, 2}}, two{{1, 2}, {3.5, 4}};
  svg.polyline(one, "curve");
  EXPECT_THAT(svg.str(), Not(HasSubstr("polyline")));
  svg.polyline(two, "curve a");
  svg.circle(5, 5, -1, "dot", "<tip>");
  const std::vector<std::array<double, 4>> cells{{0, 0, 2, 3}, {4, 0.5, 2, 3}};
  svg.rects(cells, "both");
  svg.rects({}, "none");
  EXPECT_EQ(MarkupCheck::problem(svg.str()), "");
  EXPECT_THAT(svg.str(), HasSubstr("<polyline points=\"1,2 3.5,4\" class=\"curve a\"/>"));
  EXPECT_THAT(svg.str(), HasSubstr("r=\"0\" class=\"dot\"><title>&lt;tip&gt;</title></circle>"));
  EXPECT_THAT(svg.str(), HasSubstr("<path d=\"M0 0h2v3h-2zM4 0.5h2v3h-2z\" class=\"both\"/>"));
  EXPECT_THAT(svg.str(), Not(HasSubstr("none")));
}

TEST(Axis, NumbersAreShort) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.04213), "0.042");
  EXPECT_EQ(short_number(3.14159), "3.14");
  EXPECT_EQ(short_number(48.23), "48.2");
  EXPECT_EQ(short_number(1234.5), "1,235");
  EXPECT_EQ(tick_label(0.25), "0.25");
  EXPECT_EQ(tick_label(1500), "1,500");
}

// Relative luminance of sRGB.
double luminance(Rgb c) {
  const auto linear = [](std::uint8_t v) {
    const double s = v / 255.0;
    return s <= 0.04045 ? s / 12.92 : std::pow((s + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(c.red) + 0.7152 * linear(c.green) + 0.0722 * linear(c.blue);
}

TEST(ColourScale, GetsSteadilyLighter) {
  // The cube root of luminance is close to how light a colour looks.
  double last = std::cbrt(luminance(scale_colour(0)));
  EXPECT_LT(last, 0.25);
  for (int i = 1; i <= 32; ++i) {
    const double now = std::cbrt(luminance(scale_colour(i / 32.0)));
    EXPECT_GT(now - last, 0.01) << i;
    EXPECT_LT(now - last, 0.04) << i;
    last = now;
  }
  EXPECT_GT(last, 0.9);
}

TEST(ColourScale, ClampsValues) {
  EXPECT_EQ(scale_colour(-3), scale_colour(0));
  EXPECT_EQ(scale_colour(7), scale_colour(1));
  EXPECT_EQ(scale_colour(std::numeric_limits<double>::quiet_NaN()), scale_colour(0));
}

std::string encoded(const std::string& text) {
  return base64(std::vector<std::uint8_t>(text.begin(), text.end()));
}

TEST(Base64, PadsToFours) {
  EXPECT_EQ(encoded(""), "");
  EXPECT_EQ(encoded("f"), "Zg==");
  EXPECT_EQ(encoded("fo"), "Zm8=");
  EXPECT_EQ(encoded("foo"), "Zm9v");
  EXPECT_EQ(encoded("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encoded("\xff\xfe\xfd"), "//79");
}

TEST(Bitmap, HoldsOneBytePerPixelBehindThePalette) {
  const std::vector<std::uint8_t> levels{1, 2, 3, 4, 5, 6};
  const auto uri = bitmap_data_uri(3, 2, levels);
  const std::string prefix = "data:image/bmp;base64,";
  ASSERT_EQ(uri.substr(0, prefix.size()), prefix);
  // 54 bytes of headers and 1,024 of palette, then two rows of 3 + 1 bytes, the bottom one first.
  const std::size_t before = 54 + 1024;
  EXPECT_EQ(uri.size(), prefix.size() + (before + 8 + 2) / 3 * 4);
  // Byte 1,077 is the unused byte of the last palette entry, and the first of a group of three.
  static_assert((54 + 1024 - 1) % 3 == 0);
  EXPECT_THAT(uri, EndsWith(encoded(std::string("\0\4\5\6\0\1\2\3\0", 9))));
}

}  // namespace
}  // namespace gracemoe
