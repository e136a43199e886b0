/** The style of all pages: calm and dense, in light and dark, on a phone, too. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --bg: light-dark(#f7f7f5, #131416); --card: light-dark(#fff, #1b1d20); --line: light-dark(#e4e3df, #2c2f34);
  --text: light-dark(#1c1d1f, #e8e8e6); --soft: light-dark(#62646a, #9a9da3); --accent: light-dark(#2455d6, #7fa2ff);
  --ok: light-dark(#17763f, #57c98a); --warn: light-dark(#845200, #e5b454); --bad: light-dark(#b3261e, #ff8a80);
  --bar: light-dark(#dfe6fb, #26314f); --on-accent: light-dark(#fff, #10131c);
  --num: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace;
}
* { box-sizing: border-box }
body { margin: 0; background: var(--bg); color: var(--text); font: 14px/1.45 Inter, system-ui, sans-serif; font-variant-numeric: tabular-nums }
a { color: inherit; text-decoration: none } a:hover, p a, .meta a, td a:hover { text-decoration: underline }
p { margin: 0 }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px }
.skip { position: absolute; left: -999px } .skip:focus { left: 12px; top: 12px; z-index: 2; background: var(--card); padding: 8px 12px }
header { position: sticky; top: 0; z-index: 1; background: var(--card); border-bottom: 1px solid var(--line) }
header > div, main { max-width: 1180px; margin: auto; padding: 0 20px }
header > div { display: flex; align-items: center; gap: 20px; height: 52px }
.brand { font-weight: 650 }
nav { display: flex; gap: 4px; scrollbar-width: none; min-width: 0 }
nav a { white-space: nowrap; padding: 6px 10px; border-radius: 6px; color: var(--soft) } nav a[aria-current] { background: var(--bar); color: var(--text) }
.conn { margin-left: auto; display: flex; gap: 8px; align-items: center; color: var(--soft); white-space: nowrap }
.dot { flex: none; width: 8px; height: 8px; border-radius: 50%; background: var(--ok) } .dot.bad { background: var(--bad) } .dot.warn { background: var(--warn) }
main { padding-top: 20px; padding-bottom: 60px; display: grid; gap: 20px; grid-template-columns: minmax(0, 1fr) }
h1 { font-size: 20px; margin: 0; overflow-wrap: anywhere } h2 { font-size: 14px; margin: 0; font-weight: 600 }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden }
.card > .head { display: flex; align-items: center; gap: 12px; padding: 12px 16px; border-bottom: 1px solid var(--line); flex-wrap: wrap } .head .more { margin-left: auto; color: var(--soft) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px } .tile b { display: block; font: 600 22px/1.2 var(--num) } .tile span { color: var(--soft) } .tile.bad b { color: var(--bad) }
.alert { display: flex; gap: 12px; align-items: baseline; padding: 10px 16px; border-bottom: 1px solid var(--line) } .alert:last-child { border: 0 } .alert .what { font-weight: 600 } .alert .do { margin-left: auto; color: var(--accent); white-space: nowrap }
.scroll { overflow-x: auto }
table { width: 100%; border-collapse: collapse } th, td { padding: 8px 16px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap } tr:last-child td { border: 0 }
th { color: var(--soft); font-weight: 500; font-size: 12px } th:first-child, td:first-child, td.text, th.text { text-align: left }
td.n { font-family: var(--num); font-size: 13px } td.long { white-space: normal; overflow-wrap: anywhere; text-align: left; min-width: 160px } tbody tr:hover { background: color-mix(in srgb, var(--bar) 45%, transparent) }
.zero { color: var(--soft) } .bad { color: var(--bad) } .warn { color: var(--warn) } .ok { color: var(--ok) }
.pill { display: inline-flex; gap: 5px; align-items: center; font-size: 12px; padding: 1px 8px; border-radius: 99px; border: 1px solid var(--line); color: var(--soft) } .pill.bad { color: var(--bad); border-color: currentColor } .pill.warn { color: var(--warn); border-color: currentColor }
svg.spark { width: 110px; height: 24px; display: block; margin-left: auto } svg path { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke } svg .area { fill: var(--bar); stroke: none }
figure { margin: 0; padding: 16px } svg.plot { width: 100%; height: 140px; display: block } figcaption { display: flex; justify-content: space-between; gap: 12px; color: var(--soft); font-size: 12px; padding-top: 6px }
button, .button { font: inherit; display: inline-block; padding: 5px 12px; border-radius: 7px; border: 1px solid var(--line); background: var(--card); color: var(--text); cursor: pointer } a.button:hover { text-decoration: none; border-color: var(--soft) }
button.main, .button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent) } button.danger, .button.danger { color: var(--bad) }
.row { display: flex; gap: 8px; align-items: center; flex-wrap: wrap } .grow { flex: 1 } .end { justify-content: flex-end }
input, textarea, select { font: inherit; padding: 5px 10px; border-radius: 7px; border: 1px solid var(--line); background: var(--bg); color: var(--text) } input[type=search] { min-width: 220px } textarea { width: 100%; font-family: var(--num); font-size: 13px }
form.ask { display: grid; gap: 14px; padding: 16px; max-width: 640px } form.ask label { display: grid; gap: 4px } form.ask label span { color: var(--soft) }
.group { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 4px 16px; padding: 12px 16px; border-bottom: 1px solid var(--line) } .group:last-child { border: 0 } .group .reason { font-family: var(--num); font-size: 13px; overflow-wrap: anywhere } .group .meta { color: var(--soft); font-size: 12px; overflow-wrap: anywhere } .group .acts { grid-row: span 2; display: flex; gap: 8px; align-items: center }
pre { margin: 0; padding: 12px 16px; font: 13px/1.5 var(--num); overflow: auto; max-height: 480px; white-space: pre-wrap; overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 6px 20px; margin: 0; padding: 12px 16px } dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
.note { margin: 0; padding: 12px 16px; color: var(--soft) } .pages { display: flex; gap: 16px; padding: 12px 16px; border-top: 1px solid var(--line) }
.more-acts { grid-column: 1 / -1; color: var(--soft); font-size: 12px } main > .more-acts { justify-content: flex-end }
.done { border-color: var(--ok) }
#trouble:empty { display: none } #trouble .note { color: var(--bad); padding: 0 }
@media (max-width: 720px) { th.wide, td.wide { display: none } th, td { padding: 8px 10px } nav { overflow-x: auto } .brand { display: none } .conn span.long { display: none } header > div, main { padding-left: 12px; padding-right: 12px } .group { grid-template-columns: minmax(0, 1fr) } .group .acts { grid-row: auto } .tiles { grid-template-columns: repeat(2, 1fr) } }
@media (prefers-reduced-motion: no-preference) { .fresh { animation: fresh 1s } @keyframes fresh { from { background: var(--bar) } } }
`.trim();

/** The picture of a browser's tab: waiting, active, dead. */
export const ICON =
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#2455d6"/><path d="M3 5h10M3 8h7M3 11h4" stroke="#fff" stroke-width="1.6" stroke-linecap="round"/></svg>`;
