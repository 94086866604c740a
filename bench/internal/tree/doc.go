// Package tree reads a folder of real files as numbered chunks and checks
// that every chunk arrived.
//
// A [Plan] lists the regular files below a folder in a fixed order and gives
// every chunk of every file a number:
//
//	file 0 (70 kB)        file 1 (0 B)   file 2 (40 kB)
//	chunk 0 | 1 | 2       chunk 3        chunk 4 | 5
//
// A chunk is at most [ChunkSize] bytes. An empty file is one empty chunk, so
// that every file is sent. Whoever receives chunk n writes the xxhash of its
// bytes into entry n of a table; a file's digest folds the entries of its
// chunks in the order of their offsets. [Walk] makes the same table in one
// process, without any queue: a run is right if [Compare] finds no difference.
package tree
