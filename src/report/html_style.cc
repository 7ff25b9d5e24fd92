#include "report/html_style.h"

namespace gracemoe {
namespace {

constexpr std::string_view kStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f6f7f8; --card: #ffffff; --ink: #1b1f24; --soft: #5d6670; --edge: #e1e4e8; --grid: #e8ebee;
  --hot: #c8501e; --hot-light: #eda377; --experts: #2f6fb5; --rest: #b8c0c9; --intra: #8a96a3;
  --good: #18794e; --mean: #1b1f24;
  --n0: #2f6fb5; --n1: #d9822b; --n2: #2a9d7f; --n3: #a05195; --n4: #7a8b2c; --n5: #c44e52;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #111418; --card: #191d23; --ink: #e6e9ed; --soft: #9aa4af; --edge: #2a3038; --grid: #272d35;
    --hot: #ea7a45; --hot-light: #8f4c2e; --experts: #5b9bde; --rest: #47505b; --intra: #6c7885;
    --good: #4cc38a; --mean: #e6e9ed;
    --n0: #5b9bde; --n1: #e39a4c; --n2: #45b898; --n3: #bd77b4; --n4: #9cae4a; --n5: #d9777a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif;
}
main { max-width: 1240px; margin: 0 auto; padding: 40px 28px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 21px; line-height: 1.3; margin: 52px 0 10px; }
h3 { font-size: 15px; margin: 0 0 10px; font-weight: 600; }
p { margin: 0 0 14px; max-width: 78ch; }
p.lead, .soft, .note, figcaption, dd { color: var(--soft); }
p.lead { margin-bottom: 4px; }
.note, figcaption { font-size: 14px; }
p.note { margin: 12px 0 0; }
figcaption b { color: var(--ink); font-weight: 600; }
.card { background: var(--card); border: 1px solid var(--edge); border-radius: 10px; padding: 18px 20px; }
.scroll { overflow-x: auto; }
.grid { display: grid; gap: 18px; margin-top: 16px; }
.grid.figures { grid-template-columns: repeat(auto-fill, minmax(min(100%, 480px), 1fr)); }
.grid.two { grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.grid.wide { grid-template-columns: repeat(auto-fit, minmax(min(100%, 540px), 1fr)); }
.grid.three { grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); }
.grid + details, details + details { margin-top: 10px; }
.grid > *, .tiles > * { min-width: 0; }
.tiles { display: grid; gap: 20px 26px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 250px), 1fr)); }
.tiles.large { grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
h3 .soft { display: block; font-weight: 400; font-size: 14px; }
nav { display: flex; flex-wrap: wrap; gap: 8px; margin: 22px 0 0; font-size: 14px; }
nav a { color: var(--ink); text-decoration: none; background: var(--card); border: 1px solid var(--edge); border-radius: 99px; padding: 3px 13px; }
nav a:hover, nav a:focus-visible { border-color: var(--experts); color: var(--experts); }
section { scroll-margin-top: 12px; }
details { margin-top: 16px; }
summary { cursor: pointer; font-size: 14px; color: var(--experts); width: fit-content; padding: 3px 0; }
summary:hover { text-decoration: underline; }
details > :nth-child(2) { margin-top: 12px; }
.keys { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); margin: 26px 0 8px; }
.key b { display: block; white-space: nowrap; font-size: 29px; line-height: 1.15; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }
.key span { color: var(--soft); font-size: 14px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
table.figures { width: 100%; margin-top: 4px; font-size: 15px; }
table.figures th { font-weight: 600; font-size: 13px; line-height: 1.3; color: var(--soft); vertical-align: bottom; text-align: right; padding: 6px 10px; white-space: nowrap; }
table.figures td { text-align: right; padding: 8px 10px; border-top: 1px solid var(--edge); white-space: nowrap; }
table.figures th:first-child, table.figures td:first-child { text-align: left; padding-left: 2px; }
table.figures td:first-child { white-space: normal; min-width: 90px; }
table.figures th:last-child { white-space: normal; }
table.figures tr.best td { font-weight: 650; }
table.figures tr.best td:last-child { color: var(--good); }
table.figures th.list, table.figures td.list { text-align: left; white-space: normal; min-width: 320px; padding-left: 22px; font-size: 13px; color: var(--soft); }
table.figures td.list b { color: var(--ink); font-weight: 600; }
.change { white-space: nowrap; margin-right: 12px; }
table.settings { font-size: 14px; }
table.settings th, table.settings td { text-align: left; padding: 5px 18px 5px 2px; vertical-align: top; border-top: 1px solid var(--edge); }
table.settings tr:first-child > * { border-top: 0; }
table.settings th { font-weight: 600; white-space: nowrap; }
table.settings td { overflow-wrap: break-word; }
table.panels { width: 100%; table-layout: fixed; }
table.panels th { font-weight: 600; font-size: 14px; text-align: left; line-height: 1.35; padding: 0 14px 8px 34px; }
table.panels th .soft { font-weight: 400; }
table.panels th.row { width: 86px; font-weight: 400; color: var(--soft); padding: 0 10px 0 0; white-space: nowrap; vertical-align: middle; position: sticky; left: -20px; background: var(--card); }
table.panels td { padding: 4px 14px 4px 0; }
table.panels svg { width: 100%; max-width: 400px; }
.keyline { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 14px; color: var(--soft); margin: 0 0 10px; }
.keyline i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 7px; }
.maps { display: grid; gap: 18px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 220px), 1fr)); }
.maps figure { max-width: 400px; margin: 0; }
figcaption { margin-top: 6px; }
.legend-scale { margin-top: 10px; }
.legend-scale p.note { margin-top: 2px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 22px; font-size: 15px; margin: 14px 0 0; }
dt { font-weight: 600; }
dd { margin: 0; max-width: 78ch; }
@media (max-width: 640px) {
  main { padding: 24px 16px 48px; }
  h1 { font-size: 25px; }
  .card { padding: 14px; }
  dl { grid-template-columns: 1fr; }
  nav { flex-wrap: nowrap; overflow-x: auto; white-space: nowrap; padding-bottom: 6px; }
  .maps { gap: 12px; grid-template-columns: 1fr 1fr; }
}
svg { display: block; max-width: 100%; height: auto; }
.scroll > svg { min-width: calc(0.75 * var(--width)); }
svg text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .tick { fill: var(--soft); font-size: 12px; }
svg .value { font-weight: 600; }
svg .middle { text-anchor: middle; }
svg .end { text-anchor: end; }
svg .gridline { stroke: var(--grid); }
svg .axis { stroke: var(--soft); }
svg .mean { stroke: var(--mean); stroke-width: 1.25; stroke-dasharray: 4 3; }
svg .pixels { image-rendering: pixelated; }
.all-to-all, .cross-dispatch { fill: var(--hot); background: var(--hot); }
.cross-combine { fill: var(--hot-light); background: var(--hot-light); }
.experts { fill: var(--experts); background: var(--experts); color: var(--experts); }
.rest { fill: var(--rest); background: var(--rest); }
.intra { fill: var(--intra); background: var(--intra); }
.node0 { fill: var(--n0); background: var(--n0); }
.node1 { fill: var(--n1); background: var(--n1); }
.node2 { fill: var(--n2); background: var(--n2); }
.node3 { fill: var(--n3); background: var(--n3); }
.node4 { fill: var(--n4); background: var(--n4); }
.node5 { fill: var(--n5); background: var(--n5); }
.plan0 { fill: var(--rest); background: var(--rest); color: var(--rest); }
.plan1 { fill: var(--n0); background: var(--n0); color: var(--n0); }
.plan2 { fill: var(--n2); background: var(--n2); color: var(--n2); }
.plan3 { fill: var(--n3); background: var(--n3); color: var(--n3); }
.plan4 { fill: var(--n1); background: var(--n1); color: var(--n1); }
.plan5 { fill: var(--n4); background: var(--n4); color: var(--n4); }
.plan6 { fill: var(--n5); background: var(--n5); color: var(--n5); }
.hot { fill: var(--hot); background: var(--hot); color: var(--hot); }
.in-both { fill: var(--rest); background: var(--rest); }
.only-before { fill: var(--n1); background: var(--n1); }
.only-after { fill: var(--n0); background: var(--n0); }
svg .field { fill: var(--page); }
svg .ruler { fill: var(--soft); }
svg .strong { font-weight: 600; }
svg .curve { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
svg .chord { fill: none; stroke: var(--soft); stroke-dasharray: 3 4; }
svg .ring { fill: none; stroke: currentColor; stroke-width: 2.5; }
svg .device-outline { fill: none; stroke: #ffffff; stroke-width: 1; stroke-opacity: 0.85; }
svg .node-outline { fill: none; stroke: #ffffff; stroke-width: 2.5; }
)css";

}  // namespace

std::string_view html_style() {
  return kStyle;
}

}  // namespace gracemoe
