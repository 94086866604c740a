package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"shmkit/bench/internal/plot"
)

// text is the report for people.
func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %sB in %s of at most %d KiB, from %s to %s\n",
		count(r.Files, "file"), plot.Number(float64(r.Bytes)), count(r.Messages, "message"), r.ChunkSize>>10,
		count(r.Producers, "producer"), count(r.Consumers, "consumer"))
	fmt.Fprintf(&b, "%s\n%s\n", r.Input, r.Machine)
	if r.Steal > 1 {
		fmt.Fprintf(&b, "warning: the hypervisor kept %.1f %% of the CPU time for others: the times say little\n", r.Steal)
	}
	b.WriteByte('\n')
	if r.Chaos {
		r.printChaos(&b)
	} else {
		r.printTimes(&b)
	}
	return b.String()
}

func (r *report) printTimes(b *strings.Builder) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tseconds\t(min–max)\tmessages/s\tGB/s\tCPU s\tsyscalls/msg\tpeak MB\tdigests\t")
	for _, x := range r.Results {
		fmt.Fprintf(w, "%s\t%.3f\t(%.3f–%.3f)\t%s\t%.2f\t%.2f\t%s\t%s\t%s\t\n",
			x.Impl, x.Seconds, x.MinSeconds, x.MaxSeconds, thousands(int(x.MessagesPerS)), x.BytesPerS/1e9, x.CPUSeconds,
			orDash("%.2f", x.SyscallsPerMessage), megabytes(x.PeakMemory), x.verdict())
	}
	w.Flush()
	fmt.Fprintf(b, "\nOne process that reads and digests the same files, without any queue: %.3f s. Digest of the tree: %s.\n", r.Alone.Seconds, r.Alone.Digest)
	fmt.Fprintf(b, "Medians of %d runs each. syscalls/msg are those of the queue, without those that read the files.\n", r.repeats())
	if a, ok := r.find("mpqueue"); ok && a.ok() {
		for _, rival := range []string{"pipequeue", "bufpipe"} {
			if x, ok := r.find(rival); ok && x.ok() && x.MessagesPerS > 0 && a.CPUSeconds > 0 {
				fmt.Fprintf(b, "mpqueue moves %.2f times the messages of %s in the same time, with %.2f times its CPU.\n",
					a.MessagesPerS/x.MessagesPerS, rival, a.CPUSeconds/x.CPUSeconds)
			}
		}
	}
	if len(r.NotRun) > 0 {
		fmt.Fprintf(b, "not run, for one before failed: %s\n", strings.Join(r.NotRun, ", "))
	}
	r.printTrouble(b)
}

func (r *report) printChaos(b *strings.Builder) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\toutcome\tkilled\tdelivered\tlost\tredelivered\tseconds\tdigests\t")
	for _, x := range r.Results {
		p, c := x.killed()
		fmt.Fprintf(w, "%s\t%s\t%s, %s\t%s of %s\t%d\t%d\t%.2f\t%s\t\n",
			x.Impl, x.Outcome, count(p, "producer"), count(c, "consumer"), thousands(x.Delivered), thousands(r.Messages), x.Lost, x.Redelivered, x.Seconds, x.verdict())
	}
	w.Flush()
	fmt.Fprintf(b, "\nseed %d: the same seed kills the same processes after the same number of messages\n", *r.Seed)
	for _, x := range r.Results {
		if x.Impl != "mpqueue" {
			if x.Detail != "" {
				fmt.Fprintf(b, "%s: %s\n", x.Impl, x.Detail)
			}
			continue
		}
		fmt.Fprintf(b, "\nmpqueue redelivered %s whose consumer died with it; %s arrived twice in all.\n",
			count(x.Redelivered, "message"), count(x.Repeated, "chunk"))
		for _, d := range x.Deaths {
			switch {
			case d.Role == "consumer" && d.Held:
				fmt.Fprintf(b, "  consumer (pid %d) died with a message in its hands, after %s\n", d.PID, thousands(d.At))
			case d.Role == "consumer":
				fmt.Fprintf(b, "  consumer (pid %d) died after %s\n", d.PID, count(d.At, "message"))
			case len(d.Unsent) == 0:
				fmt.Fprintf(b, "  producer (pid %d) died when it had sent everything\n", d.PID)
			default:
				fmt.Fprintf(b, "  producer (pid %d) died after %s and left %s unsent, from %s to %s: its successor sent them\n",
					d.PID, count(d.At, "message"), count(len(d.Unsent), "file"), filepath.ToSlash(d.Unsent[0]), filepath.ToSlash(d.Unsent[len(d.Unsent)-1]))
			}
		}
	}
	r.printTrouble(b)
}

// printTrouble says what was wrong, in a run that should have gone well.
func (r *report) printTrouble(b *strings.Builder) {
	for _, x := range r.Results {
		if !r.Chaos && x.Detail != "" {
			fmt.Fprintf(b, "%s: %s: %s\n", x.Impl, x.Outcome, x.Detail)
		}
		for _, w := range x.Wrong {
			if !r.Chaos || x.Impl == "mpqueue" {
				fmt.Fprintf(b, "%s: wrong digest of %s\n", x.Impl, w)
			}
		}
	}
}

func (r *report) find(impl string) (result, bool) {
	for _, x := range r.Results {
		if x.Impl == impl {
			return x, true
		}
	}
	return result{}, false
}

func (r *report) repeats() int {
	n := 0
	for _, x := range r.Results {
		n = max(n, x.Repeats)
	}
	return n
}

func (r result) verdict() string {
	if r.DigestsOK {
		return "right"
	}
	return "WRONG"
}

func (r result) killed() (producers, consumers int) {
	for _, d := range r.Deaths {
		if d.Role == "producer" {
			producers++
		} else {
			consumers++
		}
	}
	return producers, consumers
}

// count writes n and what it counts.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}

// thousands writes n with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func orDash(format string, v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}

func megabytes(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f", float64(*n)/1e6)
}
