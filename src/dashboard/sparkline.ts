import { html } from "hono/html";
import { rate } from "./figures.ts";
import type { Markup } from "./page.ts";

const WIDTH = 110;
const HEIGHT = 24;

/** A small plot of rates, the oldest first; its label says the last one and the highest. */
export function sparkline(rates: readonly number[], what: string): Markup {
  const label = rates.length === 0
    ? `${what}: not measured yet`
    : `${what}: ${rate(rates[rates.length - 1])} a second now, ${rate(Math.max(...rates))} at most`;
  const line = points(rates, WIDTH, HEIGHT);
  return html`<svg class="spark" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">${
    line && html`
      <path class="area" d="M0 ${HEIGHT}V${line.slice(line.indexOf(" ") + 1)}V${HEIGHT}Z" />
      <path d="M${line}" />
    `
  }</svg>`;
}

/** A large plot with its scale. */
export function plot(rates: readonly number[], what: string, from: string): Markup {
  const [width, height] = [720, 140];
  const line = points(rates, width, height);
  const highest = Math.max(0, ...rates);
  return html`
    <figure>
      <svg class="plot" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img"
        aria-label="${what}, ${rate(highest)} a second at most">${line && html`
          <path class="area" d="M0 ${height}V${line.slice(line.indexOf(" ") + 1)}V${height}Z" />
          <path d="M${line}" />
        `}</svg>
      <figcaption><span>${from}</span><span>${what}: highest ${rate(
        highest,
      )} a second</span><span>now</span></figcaption>
    </figure>
  `;
}

/** The points of a line as `x y`, joined by `L`; empty without rates. */
function points(rates: readonly number[], width: number, height: number): string {
  if (rates.length === 0) return "";
  const highest = Math.max(...rates) || 1;
  const values = rates.length === 1 ? [rates[0], rates[0]] : rates;
  const step = width / (values.length - 1);
  return values.map((value, i) => {
    const y = height - 2 - (value / highest) * (height - 4);
    return `${(i * step).toFixed(1)} ${y.toFixed(1)}`;
  }).join("L");
}
