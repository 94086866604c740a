// Package results keeps the raw rows of a run of the matrix in a file, and
// makes tables and plots of them. What a README shows is always made from a
// file by this package, never typed in.
package results
