// Package stage is where the processes of one measurement meet: a gate that
// opens when all of them are there, and for each of them a cell in shared
// memory in which it leaves what it has used.
//
//	launcher                     worker
//	Await(cells…) ─┐             cell.Begin(ctx, gate, tp) ── waits at the gate
//	gate.Set()     ┘──────────>  … works …
//	cell.Used()    <───────────  ledger.End()
//
// The start of a process, some milliseconds, is thus no part of what is
// measured.
package stage
