// Command bench shows what this module's queue is worth: it sends a tree of
// real files from producer processes to consumer processes, once through a
// queue built on a pipe as Python builds its own, once through a buffered
// pipe, and once through shared memory, and checks every byte.
//
//	go run ./bench                     the source tree of the Go installation
//	go run ./bench -input DIR          any other folder
//	go run ./bench -chaos -seed 7      the same while processes are killed with -9
//	go run ./bench -json               the numbers for a program
//	go run ./bench matrix              every rival on this machine, one axis at a time
//	go run ./bench report              tables and plots of what the matrix has found
//
// It prints a table, writes report.html, and ends with an error if one digest
// is wrong. README.md beside this file says what is measured and how.
package main
