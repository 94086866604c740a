// Package plot draws bars and lines as SVG that stands alone: no script, no
// font, no network. The drawings take their colours from CSS variables with
// defaults for light and dark, so one file fits a page of either kind, and a
// README.
//
// It draws just what a benchmark needs: bars with a range from worst to best,
// and lines on linear or logarithmic axes. Values that are not finite are
// left out.
package plot
