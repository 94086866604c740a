// Package procs starts other processes of this program, passes them arguments
// and shared objects, and sees them end.
package procs
