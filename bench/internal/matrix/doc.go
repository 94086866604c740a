// Package matrix measures every rival that is found on the machine, varying
// one axis at a time around a base point: messages of 64 bytes, one producer,
// one consumer, no batches.
//
// A case is measured by real processes. One run first finds out how many
// messages fill the wanted time; one counts system calls; then the repeats are
// timed, and the row is their median. Every message of every run is checked:
// its bytes by xxhash, its order by its sequence number, and that it arrived
// exactly once by a bit of its own.
package matrix
