/** How the report looks: on a screen, light or dark, and on paper, where it is always light. */
import { COLOR_COUNT } from './chart.ts';

/** Told apart by people who see few colours too, as far as twelve can be (after Okabe and Ito, and Tol). */
const LIGHT = [
  '#0072b2',
  '#d55e00',
  '#007d5c',
  '#a64d8f',
  '#8a6d00',
  '#3a9bd0',
  '#5a5a5a',
  '#882255',
  '#44721b',
  '#3b3ba8',
  '#b3412e',
  '#117d8c',
];
const DARK = [
  '#56b4e9',
  '#ff9a4d',
  '#3fcf9f',
  '#e39bd0',
  '#e5c94b',
  '#a9d8f5',
  '#b8b8b8',
  '#e0789f',
  '#a5cf6a',
  '#a3a3f5',
  '#f08a78',
  '#67cfdd',
];
const DASHES = ['', '7 3', '2 2', '9 3 2 3'];

function colors(values: readonly string[]): string {
  return values.map((value, index) => `--s${index}:${value}`).join(';');
}

const LIGHT_VARIABLES = `--ink:#1d2126;--dim:#5c6670;--paper:#fff;--soft:#f3f5f7;--rule:#dde2e7;--bad:#b42318;--bad-soft:#fdecea;${colors(LIGHT)}`;
const DARK_VARIABLES = `--ink:#e4e7ea;--dim:#9aa4ae;--paper:#15181c;--soft:#1f2429;--rule:#363d45;--bad:#ff8f80;--bad-soft:#3a1d1a;${colors(DARK)}`;

const SERIES = Array.from({ length: COLOR_COUNT }, (_, index) => {
  const dashes = DASHES[Math.floor(index / 3) % DASHES.length]!;
  const dash = dashes === '' ? '' : `.line.s${index}{stroke-dasharray:${dashes}}`;
  return `.s${index}{--c:var(--s${index})}${dash}`;
}).join('');

export const STYLE = `
:root{color-scheme:light dark;${LIGHT_VARIABLES}}
@media screen and (prefers-color-scheme:dark){:root{${DARK_VARIABLES}}}
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;padding:2rem 1.25rem 4rem;max-width:1180px}
h1{font-size:1.65rem;margin:0 0 .25rem}h2{font-size:1.2rem;margin:2.5rem 0 .5rem;border-bottom:1px solid var(--rule);padding-bottom:.25rem}
h3{font-size:1rem;margin:1.5rem 0 .25rem}
p{max-width:75ch;margin:.5rem 0}.dim,figcaption{color:var(--dim)}
code,.mono{font:13px/1.5 ui-monospace,Menlo,Consolas,monospace}
pre{background:var(--soft);border:1px solid var(--rule);border-radius:6px;padding:.6rem .8rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.bad{border:2px solid var(--bad);background:var(--bad-soft);border-radius:6px;padding:.6rem 1rem;margin:1rem 0;color:var(--bad);font-weight:600}
.bad p{margin:.2rem 0;max-width:none}td.wrong,th.wrong{color:var(--bad)}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;margin:.75rem 0;padding:0}
.legend li{display:flex;gap:.45rem;align-items:center}
.charts{margin:1.25rem 0;display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:1.25rem}
figure{margin:0;break-inside:avoid}figcaption{font-size:.87rem;margin-bottom:.2rem}
svg{max-width:100%;height:auto;overflow:visible}figure svg{width:100%;display:block}
svg text{font:11px system-ui,sans-serif;fill:var(--ink)}svg .name{fill:var(--dim)}
.grid{stroke:var(--rule);stroke-width:1}.axis{stroke:var(--dim);stroke-width:1;fill:none}
.line{stroke:var(--c);stroke-width:1.8;fill:none;stroke-linejoin:round}.mark{fill:var(--c)}
.whisker{stroke:var(--c);stroke-width:1.3;fill:none}.interval{stroke:var(--ink);stroke-width:1.2;fill:none}
${SERIES}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .6rem;border-bottom:1px solid var(--rule);text-align:left;white-space:nowrap}
thead th{background:var(--soft);font-weight:600}.n{text-align:right}td.wide{white-space:normal;min-width:16rem}
@media print{body{max-width:none;padding:0;font-size:11px}.scroll{overflow:visible}table{font-size:8px}th,td{padding:1px 4px;white-space:normal}
h2{break-after:avoid}.charts{grid-template-columns:1fr 1fr}.mark,.bad,thead th{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`.trim();
