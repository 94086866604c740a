package mpqueue

import "time"

// Look looks again until f reports true, for as long as budget.
func Look(budget time.Duration, f func() bool) bool {
	var s spinner
	s.budget.Store(int64(budget))
	return s.look(f)
}
