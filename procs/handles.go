package procs

import (
	"os"

	"shmkit/shm"
)

// This file is all that procs knows of shared objects: their handles encode
// themselves, and shm says which segments they lead to. What kinds of objects
// there are is none of its business.

// exports are the segments whose handles stand in the arguments of a process.
type exports = *shm.Exports

// exportHandles runs encode and pins every segment whose handle it met.
func exportHandles(encode func() error) (exports, [][16]byte, error) {
	e, err := shm.Export(encode)
	if err != nil {
		return nil, nil, err
	}
	var ids [][16]byte
	for _, id := range e.IDs() {
		ids = append(ids, id)
	}
	return e, ids, nil
}

// adoptHandle says, in a child, that f leads to the segment with that id.
func adoptHandle(id [16]byte, f *os.File) { shm.Adopt(id, f) }

// sweepDead releases what the dead process held in the segments of this one.
func sweepDead(pid int) { shm.SweepDead(pid) }

// setProcessName names this process in the participant tables.
func setProcessName(name string) { shm.SetProcessName(name) }
