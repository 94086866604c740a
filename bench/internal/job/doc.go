// Package job is the benchmark's main job: producer processes send every file
// of a folder, consumer processes write the digest of every chunk into a table
// in shared memory, and one process that reads the files alone says whether
// all of it is right.
//
//	producer 0 ──┐                      ┌── consumer 0 ──┐
//	producer 1 ──┼── pipe, or mpqueue ──┼── consumer 1 ──┼── table: one entry per chunk
//	             ┘                      └                ┘
//	     each writes what it did into its cell of the board; the launcher reads
//
// A run builds one channel of package rival, starts the processes, opens the
// gate of the board when all of them are there, and lets go of the sending end
// when the producers are done. With a chaos plan it kills some of them on the
// way and starts others in their place.
package job
