package matrix

import "time"

const (
	firstCount = 4  // messages of the first run of a calibration
	steeper    = 16 // what the next run has at most times as many of
)

// calibrate finds the count of messages with which a run takes about the wanted
// time, by runs that warm up too. What a run costs once, however many messages
// it has, must not pass for the time of its messages: memory that is touched for
// the first time can take longer than a short run. So a run counts only if it
// took longer than the one before because it was larger, and the time of a
// message is taken from the difference. The run that ends the search is made
// twice and the shorter one counts: a pause for another program must not pass
// for that difference. A case whose runs cost much once gets up to twice the
// time, that this be less of it.
func calibrate(count, limit int, want time.Duration, once func(count int) (sample, error)) (int, error) {
	n, before := 0, time.Duration(0)
	again := false // the count is that of the run before, whose time is in took
	var took time.Duration
	for range 12 {
		s, err := once(count)
		if err != nil {
			return 0, err
		}
		if again {
			s.time = min(s.time, took)
		}
		next := float64(steeper * count)
		extra := float64(s.time - before)
		if part := 1 - float64(n)/float64(count); n > 0 && extra > float64(s.time)*part/4 {
			per := extra / float64(count-n)
			fixed := max(0, float64(s.time)-per*float64(count))
			fits := min(max(float64(want), 8*fixed), 2*float64(want)) / per
			if s.time >= want/4 && !again {
				again, took = true, s.time
				continue
			}
			if s.time >= want/4 {
				return max(1, min(int(fits), limit)), nil
			}
			next = min(next, fits)
		}
		if s.time > 8*want { // Perhaps the one before was an odd one; this one would only get longer.
			return max(1, int(float64(count)*float64(want)/float64(s.time))), nil
		}
		if n, before, again = count, s.time, false; count >= limit {
			break
		}
		count = max(count+1, min(int(next), limit))
	}
	return count, nil
}
