// Package futexlock provides locks that live in shared memory and survive the
// death of any process that uses them.
package futexlock
