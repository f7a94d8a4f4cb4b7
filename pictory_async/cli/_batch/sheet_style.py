"""What the contact sheet looks like."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --page: #f6f6f4; --card: #fff; --edge: #dededa; --text: #1d1d1b; --soft: #63635e;
  --mat: #ecece8; --link: #0b5cad; --bad: #a3261b; --bad-mat: #fbeceb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #161615; --card: #20201f; --edge: #353532; --text: #ececea;
    --soft: #a3a39d; --mat: #2a2a28; --link: #7cb8f5; --bad: #ff9c92;
    --bad-mat: #34211f;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 4.5rem; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
a { color: var(--link); }
header, .bar, main, footer {
  max-width: 1800px; margin: 0 auto; padding: 0 1.25rem;
}
header { padding-top: 1.5rem; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.2; overflow-wrap: anywhere; }
header p, footer { color: var(--soft); }
header p { margin: .3rem 0 0; overflow-wrap: anywhere; }
.causes {
  margin: 1rem 0 0; padding: .6rem .9rem; border: 1px solid var(--edge);
  border-radius: 10px; background: var(--card);
}
.causes summary { cursor: pointer; color: var(--bad); font-weight: 600; }
.causes ul { margin: .5rem 0 .2rem; padding-left: 1.2rem; }
.causes li { margin: .35rem 0; overflow-wrap: anywhere; }
.causes span { color: var(--soft); }
.bar {
  position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .4rem;
  padding-top: .8rem; padding-bottom: .8rem; background: var(--page);
}
.bar label {
  padding: .25rem .8rem; border: 1px solid var(--edge); border-radius: 99px;
  background: var(--card); color: var(--soft); cursor: pointer;
}
.bar input { position: absolute; opacity: 0; }
.bar label:has(:checked) {
  background: var(--text); border-color: var(--text); color: var(--page);
}
.bar label:has(:focus-visible) { outline: 2px solid var(--link); outline-offset: 2px; }
body:has(#only-images:checked) .failed, body:has(#only-failed:checked) .image {
  display: none;
}
main {
  display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr));
  padding-bottom: 2rem;
}
figure {
  margin: 0; overflow: hidden; border: 1px solid var(--edge); border-radius: 10px;
  background: var(--card);
  content-visibility: auto; contain-intrinsic-size: auto 15rem auto 22rem;
}
figure:target { outline: 3px solid var(--link); }
.mat { display: block; aspect-ratio: var(--ratio, 1); background: var(--mat); }
.mat img { display: block; width: 100%; height: 100%; object-fit: contain; }
.mat:focus-visible { outline: 3px solid var(--link); outline-offset: -3px; }
.why {
  display: flex; flex-direction: column; justify-content: center; gap: .4rem;
  padding: 1rem; background: var(--bad-mat); overflow-wrap: anywhere;
}
.why b { color: var(--bad); }
.why small { color: var(--text); font-size: .85rem; }
figcaption { padding: .6rem .8rem .7rem; }
.prompt { margin: 0; overflow-wrap: anywhere; }
.prompt summary { list-style: none; cursor: pointer; }
.prompt summary::-webkit-details-marker { display: none; }
.prompt:not([open]) summary {
  display: -webkit-box; overflow: hidden; -webkit-box-orient: vertical;
  -webkit-line-clamp: 3; line-clamp: 3;
}
.about { margin: .35rem 0 0; color: var(--soft); font-size: .8rem; }
.about { overflow-wrap: anywhere; }
footer { padding-bottom: 2rem; font-size: .85rem; }
@media (max-width: 560px) {
  header, .bar, main, footer { padding-left: .75rem; padding-right: .75rem; }
  main { gap: .6rem; grid-template-columns: repeat(2, minmax(0, 1fr)); }
  figure { contain-intrinsic-size: auto 10rem auto 17rem; }
  figcaption { padding: .5rem .6rem .6rem; }
  .prompt { font-size: .88rem; }
  .why { padding: .7rem; }
}
@media print { .bar { display: none; } figure { break-inside: avoid; } }
"""
