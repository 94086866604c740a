package mpqueue_test

// wrapping says where newQueue lets queues begin.
var wrapping wraps

// wraps counts what has wrapped in the queues of a test.
type wraps struct {
	short                                        uint64 // positions before the wrap; 0: at the beginning
	queues, laps, epochs, sequences, generations int
}

func (w *wraps) note(laps, epochs, sequences, generations bool) {
	if w.short == 0 {
		return
	}
	count := func(n *int, yes bool) {
		if yes {
			*n++
		}
	}
	w.queues++
	count(&w.laps, laps)
	count(&w.epochs, epochs)
	count(&w.sequences, sequences)
	count(&w.generations, generations)
}
