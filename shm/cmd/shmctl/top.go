package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"shmkit/shm"
)

// rate is what top says of one segment after one interval, in JSON.
type rate struct {
	Name   string             `json:"name"`
	Live   int                `json:"live"`   // participants
	Claims float64            `json:"claims"` // processes that came, for each second
	Sweeps float64            `json:"sweeps"` // dead ones swept, for each second
	Rates  map[string]float64 `json:"rates"`  // counters of queues and locks, for each second
	Items  []item             `json:"items"`  // what is held or in progress
}

var top = command{
	name:     "top",
	synopsis: "top [-json] [-i INTERVAL] [-n TIMES] [-u UID] [NAME...]",
	help: `Looks at the segments (all names if none is given) once every interval and shows
how fast things change: who comes and dies, what queues count, and which locks and
queues have been in one state all the time, for how long. It reads memory and
never slows those who work there.
`,
	run: func(c *call) error {
		interval := c.flags.Duration("i", time.Second, "time between two looks")
		times := c.flags.Int("n", 0, "how often to print (0: until interrupted)")
		trust := c.trusting()
		if err := c.parse(0, -1); err != nil {
			return err
		}
		if *interval <= 0 || *times < 0 {
			return c.wrong("an interval above 0 and a number of times from 0 on are wanted")
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		before := map[string]sample{}
		for n := 0; ; n++ {
			now, err := samples(c.args, trust())
			if err != nil {
				return err
			}
			if n > 0 {
				if err := c.show(now, before); err != nil || c.out.err != nil {
					return err
				}
			}
			if n > 0 && n == *times {
				return nil
			}
			before = now
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(*interval):
			}
		}
	},
}

// sample is one look at a segment.
type sample struct {
	when  time.Time
	in    inspection
	since map[int]time.Time // by offset: when the item was first seen as it is
}

func samples(names []string, trust []shm.Option) (map[string]sample, error) {
	given := len(names) > 0
	if !given {
		all, err := shm.List()
		if err != nil {
			return nil, err
		}
		for _, i := range all {
			names = append(names, i.Name)
		}
	}
	out := map[string]sample{}
	for _, name := range names {
		s, err := shm.Peek(name, trust...)
		if err != nil {
			if given {
				return nil, err
			}
			continue // gone, or no segment
		}
		out[name] = sample{when: time.Now(), in: look(s), since: map[int]time.Time{}}
		s.Close()
	}
	return out, nil
}

// show prints what has happened between two looks.
func (c *call) show(now, before map[string]sample) error {
	all := []rate{}
	for name, s := range now {
		old, ok := before[name]
		if !ok || old.in.ID != s.in.ID {
			continue // new: nothing to compare with
		}
		all = append(all, s.rate(name, old))
	}
	slices.SortFunc(all, func(a, b rate) int { return strings.Compare(a.Name, b.Name) })
	if *c.json {
		return c.print(all)
	}
	rows := [][]string{{"NAME", "LIVE", "COME/s", "SWEPT/s", "COUNTS"}}
	for _, r := range all {
		var counts []string
		for what, v := range r.Rates {
			if v != 0 {
				counts = append(counts, fmt.Sprintf("%s %.0f/s", what, v))
			}
		}
		slices.Sort(counts)
		rows = append(rows, []string{r.Name, fmt.Sprint(r.Live), fmt.Sprintf("%.1f", r.Claims), fmt.Sprintf("%.1f", r.Sweeps), strings.Join(counts, ", ")})
		for _, it := range r.Items {
			rows = append(rows, []string{fmt.Sprintf("    %s at %d, for %s: %s", it.Kind, it.Offset, it.Since, it.State)})
		}
	}
	fmt.Fprintln(c.out, time.Now().Format(time.TimeOnly))
	c.table(rows)
	return nil
}

func (s sample) rate(name string, old sample) rate {
	d := s.when.Sub(old.when).Seconds()
	r := rate{Name: name, Rates: map[string]float64{}, Items: []item{},
		Claims: float64(s.in.Claims-old.in.Claims) / d, Sweeps: float64(s.in.Sweeps-old.in.Sweeps) / d}
	for _, p := range s.in.Participants {
		if p.State == "live" {
			r.Live++
		}
	}
	was := map[int]item{}
	for _, it := range old.in.Items {
		was[it.Offset] = it
	}
	for _, it := range s.in.Items {
		w, ok := was[it.Offset]
		for what, v := range it.Counters {
			r.Rates[what] += float64(v-w.Counters[what]) / d
		}
		if !ok || w.State != it.State || resting[it.State] {
			continue
		}
		first, seen := old.since[it.Offset]
		if !seen {
			first = old.when
		}
		s.since[it.Offset] = first
		it.Since = time.Since(first).Round(time.Millisecond).String()
		r.Items = append(r.Items, it)
	}
	return r
}

// resting are the states of things that nobody uses.
var resting = map[string]bool{
	"": true, "unlocked": true, "free": true, "nobody waits": true, "clear, set 0 times": true,
	"done": true, "not done": true, "0 tasks": true,
}
