"""The style sheet of the status page, for light and dark."""

STYLE = """\
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f4f6f8; --text: #1a2027; --soft: #4d5966; --edge: #c9d1d9;
  --link: #0b57d0; --good: #146c2e; --bad: #a3250b; --warning: #fff4d6; --mark: #7a4d00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161b; --raised: #1c2229; --text: #e6eaee; --soft: #aab4be; --edge: #39434d;
    --link: #8ab4f8; --good: #7fd494; --bad: #ff9d85; --warning: #3a2f12; --mark: #ffd479;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 75rem; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif;
}
h1 { margin: 0; font-size: 1.6rem; }
h2 { margin: 1.75rem 0 .5rem; font-size: 1.1rem; }
header p { margin: .25rem 0 0; color: var(--soft); }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; background: var(--ground); padding: .5rem; }
.wide { overflow-x: auto; border: 1px solid var(--edge); border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { padding: .45rem .75rem; text-align: left; vertical-align: top; }
th { background: var(--raised); color: var(--soft); font-weight: 600; white-space: nowrap; }
tbody tr + tr td { border-top: 1px solid var(--edge); }
td { white-space: nowrap; }
td:last-child { white-space: normal; overflow-wrap: anywhere; min-width: 15rem; }
code, pre { font: .87rem/1.4 ui-monospace, monospace; }
pre { margin: .5rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--link); min-height: 24px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.good { color: var(--good); white-space: nowrap; }
.bad { color: var(--bad); font-weight: 600; white-space: nowrap; }
.tag {
  background: var(--warning); color: var(--mark); border-radius: .3rem; padding: .05rem .4rem;
  font-size: .8rem;
}
.warning {
  background: var(--warning); border-left: .3rem solid var(--mark); border-radius: .3rem;
  margin-top: 1rem; padding: .1rem 1rem;
}
.warning h2 { margin-top: .5rem; color: var(--mark); }
.warning ul { margin: 0 0 .75rem; padding-left: 1.2rem; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } }
"""
