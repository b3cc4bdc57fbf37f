"""The style sheet of the page, for light and dark."""

STYLE = """\
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f4f6f8; --text: #1a2027; --soft: #4d5966; --edge: #6b7682;
  --link: #0b57d0; --on-link: #ffffff; --bad: #a3250b; --good: #146c2e; --warning: #fff4d6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161b; --raised: #1c2229; --text: #e6eaee; --soft: #aab4be; --edge: #8a95a1;
    --link: #8ab4f8; --on-link: #12161b; --bad: #ff9d85; --good: #7fd494; --warning: #3a2f12;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif;
}
h1 { margin: 0; font-size: 1.6rem; }
h2 { margin: 2rem 0 .5rem; font-size: 1.2rem; }
header p, .hint { margin: .25rem 0 0; color: var(--soft); }
.hint { font-size: .93rem; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; background: var(--ground); padding: .5rem; }
.field { margin: 1rem 0; }
label, .label { display: block; font-weight: 600; }
input, select, textarea {
  display: block; width: 100%; min-height: 2.5rem; margin-top: .25rem; padding: .4rem .6rem;
  border: 1px solid var(--edge); border-radius: .4rem; background: var(--ground);
  color: var(--text); font: inherit;
}
input.short, select { max-width: 14rem; }
input[readonly] { font-family: ui-monospace, monospace; background: var(--raised); }
input.secret { font-size: 1.3rem; font-weight: 600; }
button {
  min-height: 2.5rem; padding: .4rem 1rem; border: 1px solid var(--link); border-radius: .4rem;
  background: var(--link); color: var(--on-link); font: inherit; font-weight: 600; cursor: pointer;
}
button.plain { background: transparent; color: var(--bad); border-color: var(--bad); }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--link); min-height: 24px; }
.wide { overflow-x: auto; border: 1px solid var(--edge); border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; }
caption { padding: .5rem .75rem; text-align: left; color: var(--soft); }
th, td { padding: .5rem .75rem; text-align: left; vertical-align: top; }
thead th { background: var(--raised); color: var(--soft); }
tbody tr + tr > * { border-top: 1px solid var(--edge); }
td { overflow-wrap: anywhere; }
pre {
  margin: .25rem 0 0; padding: .75rem; background: var(--raised); border-radius: .4rem;
  font: .9rem/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  user-select: all;
}
.qr { display: inline-block; margin: .5rem 0; padding: .5rem; background: #ffffff; }
.qr svg { display: block; width: 11rem; height: 11rem; }
.alert, .done {
  margin: 1rem 0; padding: .75rem 1rem; border-radius: .4rem; border-left: .4rem solid;
}
.alert { border-color: var(--bad); background: var(--raised); }
.done { border-color: var(--good); background: var(--raised); }
.alert strong { color: var(--bad); }
.done strong { color: var(--good); }
"""
