/** Colours by what they are for. Text has a contrast of 4.5 to what it stands on, and graphics of 3. */
export const PALETTES = {
  light: {
    page: "#f3f5f8",
    surface: "#ffffff",
    text: "#1a1f26",
    muted: "#535d69",
    border: "#d5dbe2",
    link: "#0b57a4",
    good: "#0f6b37",
    warn: "#8a4b00",
    bad: "#b3202c",
    blocked: "#d2500f",
    denied: "#a3123a",
    private: "#7b3fd0",
    names: "#0a72b0",
    unlisted: "#7b8491",
  },
  dark: {
    page: "#0e1217",
    surface: "#171c23",
    text: "#e7eaef",
    muted: "#a3acb8",
    border: "#303844",
    link: "#79b8ff",
    good: "#56d080",
    warn: "#f0b352",
    bad: "#ff8a84",
    blocked: "#f98b45",
    denied: "#f0587c",
    private: "#b68cf5",
    names: "#45b1ec",
    unlisted: "#8e98a6",
  },
} as const;

type Palette = Readonly<Record<keyof typeof PALETTES.light, string>>;

function variables(palette: Palette): string {
  return Object.entries(palette)
    .map(([name, colour]) => `--${name}:${colour}`)
    .join(";");
}

/** Stands in the page itself, and nothing else styles it. */
export const STYLE = `
:root{color-scheme:light dark;${variables(PALETTES.light)}}
@media (prefers-color-scheme:dark){:root{${variables(PALETTES.dark)}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif}
header,main,footer{max-width:64rem;margin:0 auto;padding:0 1rem}
header{padding-top:2rem}
h1{margin:0;font-size:1.75rem;line-height:1.2;overflow-wrap:anywhere}
h2{margin:0 0 .75rem;font-size:1.2rem}
h3{margin:1.25rem 0 .5rem;font-size:1rem}
p{margin:.5rem 0}
a{color:var(--link)}
.muted,footer{color:var(--muted)}
.small,footer{font-size:.875rem}
.state{display:inline-block;padding:.1rem .7rem;border:1px solid;border-radius:1rem;font-size:.875rem;font-weight:600}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}
section{margin:1rem 0;padding:1.25rem;background:var(--surface);border:1px solid var(--border);border-radius:.75rem}
dl.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.75rem;margin:1.25rem 0}
.tiles div{padding:.75rem 1rem;background:var(--surface);border:1px solid var(--border);border-radius:.75rem}
.tiles dt{color:var(--muted);font-size:.875rem}
.tiles dd{margin:0;font-size:1.6rem;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:0}
.facts dt{color:var(--muted)}
.facts dd{margin:0;min-width:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px}
table{width:100%;border-collapse:collapse;font-size:.9rem}
caption{text-align:left;color:var(--muted);padding-bottom:.35rem}
th,td{padding:.45rem .75rem .45rem 0;border-bottom:1px solid var(--border);text-align:left;vertical-align:top}
th{color:var(--muted);font-weight:600;white-space:nowrap}
tbody th{color:var(--text);font-weight:400;white-space:normal;min-width:9rem;overflow-wrap:anywhere}
tbody tr:last-child>*{border-bottom:0}
th.number,td.number{padding-right:1.25rem;text-align:right;font-variant-numeric:tabular-nums}
td.what{min-width:12rem;overflow-wrap:anywhere}
time,.service{white-space:nowrap;font-variant-numeric:tabular-nums}
code{font:.9em ui-monospace,monospace;unicode-bidi:isolate;overflow-wrap:anywhere}
.address{display:block;color:var(--muted);font-size:.85em}
svg{display:block;width:100%;height:11rem;border-bottom:1px solid var(--border)}
.axis{display:flex;justify-content:space-between;gap:1rem;margin:.25rem 0 .75rem}
.axis time{white-space:normal}
.axis :last-child{text-align:right}
ul.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.5rem 0;padding:0;list-style:none}
.legend svg{display:inline-block;width:.8rem;height:.8rem;margin-right:.4rem;border:0}
.grid{stroke:var(--border)}
.blocked{fill:var(--blocked)}.denied{fill:var(--denied)}.private{fill:var(--private)}
.names{fill:var(--names)}.unlisted{fill:var(--unlisted)}
details{margin:.5rem 0}
summary{cursor:pointer;color:var(--link)}
ul.entries{columns:14rem;margin:.5rem 0;padding-left:1.25rem}
.entries li{break-inside:avoid;overflow-wrap:anywhere}
footer{padding-bottom:2rem}
@media (max-width:40rem){header{padding-top:1.25rem}section{padding:1rem}h1{font-size:1.4rem}.facts{grid-template-columns:1fr}.facts dd{margin-bottom:.5rem}svg{height:9rem}.legend svg{height:.8rem}
.cards,.cards tbody{display:block}
.cards thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.cards tr{display:flex;flex-wrap:wrap;gap:.1rem 1rem;padding:.6rem 0;border-bottom:1px solid var(--border)}
.cards tbody tr:last-child{border-bottom:0}
.cards tbody th,.cards td,.cards td.number,.cards td.what{min-width:0;padding:0;border:0;text-align:left}
.cards tbody th,.cards td.what{flex-basis:100%}
.cards td[data-label]::before{content:attr(data-label) " ";color:var(--muted)}
}
@media print{body{background:none}section,.tiles div{break-inside:avoid}}
`;
