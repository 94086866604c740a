package plot

// Style is the style sheet of the drawings. A page that holds several of them
// needs it once; a drawing made with Standalone brings its own.
const Style = `
.plot{--ink:#1f2328;--soft:#59636e;--grid:#d8dee4;--paper:#ffffff;
--c0:#0969da;--c1:#bc4c00;--c2:#1a7f37;--c3:#8250df;--c4:#bf3989;--c5:#9a6700;--c6:#57606a;--c7:#0e7490;--c8:#cf222e;--c9:#6e7781;
font:13px/1.3 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
@media (prefers-color-scheme:dark){.plot{--ink:#f0f6fc;--soft:#9198a1;--grid:#30363d;--paper:#0d1117;
--c0:#58a6ff;--c1:#f0883e;--c2:#3fb950;--c3:#bc8cff;--c4:#f778ba;--c5:#d29922;--c6:#9198a1;--c7:#39c5cf;--c8:#ff7b72;--c9:#b1bac4}}
.plot text{fill:var(--ink)}.plot .soft{fill:var(--soft);font-size:12px}.plot .title{font-weight:600;font-size:15px}
.plot .grid{stroke:var(--grid);stroke-width:1}.plot .range{stroke:var(--ink);stroke-width:1.5}
.plot .paper{fill:var(--paper)}.plot path{fill:none;stroke-width:2}
` + colours

// colours gives every series its own class for lines (s0…) and areas (f0…).
const colours = `.plot .s0{stroke:var(--c0)}.plot .f0{fill:var(--c0)}.plot .s1{stroke:var(--c1)}.plot .f1{fill:var(--c1)}
.plot .s2{stroke:var(--c2)}.plot .f2{fill:var(--c2)}.plot .s3{stroke:var(--c3)}.plot .f3{fill:var(--c3)}
.plot .s4{stroke:var(--c4)}.plot .f4{fill:var(--c4)}.plot .s5{stroke:var(--c5)}.plot .f5{fill:var(--c5)}
.plot .s6{stroke:var(--c6)}.plot .f6{fill:var(--c6)}.plot .s7{stroke:var(--c7)}.plot .f7{fill:var(--c7)}
.plot .s8{stroke:var(--c8)}.plot .f8{fill:var(--c8)}.plot .s9{stroke:var(--c9)}.plot .f9{fill:var(--c9)}
`

// series is the number of colours; further series begin again.
const series = 10
