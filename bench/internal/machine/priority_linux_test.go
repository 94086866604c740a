package machine

import "testing"

func TestPriority(t *testing.T) {
	stat := func(nice, rt, policy string) string {
		return "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 " + nice + " 1 0 6 7 8 9 1 1 1 0 0 0 0 0 0 0 0 0 17 1 " + rt + " " + policy + " 0 0 0"
	}
	for _, c := range []struct{ stat, session, want string }{
		{stat("0", "0", "0"), "/autogroup-9 nice 0", ""},
		{stat("-20", "0", "0"), "/autogroup-9 nice -20", "nice -20, its session nice -20"},
		{stat("0", "5", "2"), "", "SCHED_RR 5"},
		{"", "", ""},
	} {
		if got := priority(c.stat, c.session); got != c.want {
			t.Errorf("%q, %q: %q, want %q", c.stat, c.session, got, c.want)
		}
	}
}
