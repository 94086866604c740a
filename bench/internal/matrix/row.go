package matrix

// A Row is one line of the results, and one object of their JSON form. A
// number that was not, or cannot be, measured is null.
type Row struct {
	Case     string `json:"case"` // the axis, or what else was measured
	Impl     string `json:"impl"`
	Size     any    `json:"size"`  // bytes, or "mixed"
	Procs    string `json:"procs"` // "2x1": two producers, one consumer
	Batch    int    `json:"batch"`
	Mode     string `json:"mode"`
	Capacity int    `json:"capacity,omitempty"`
	ZeroCopy bool   `json:"zero_copy,omitempty"`

	NSPerMsg       *float64 `json:"ns_per_msg"`
	BytesPerS      *float64 `json:"bytes_per_s"`
	CPUPerMsg      *float64 `json:"cpu_ns_per_msg"`
	SyscallsPerMsg *float64 `json:"syscalls_per_msg"`
	P50            *float64 `json:"p50_ns"`
	P99            *float64 `json:"p99_ns"`
	Min            *float64 `json:"min"` // of ns_per_msg, over the repeats
	Max            *float64 `json:"max"`
	Repeats        int      `json:"repeats"`
	DeliveredOK    bool     `json:"delivered_ok"`
	Skipped        string   `json:"skipped,omitempty"` // why there are no numbers

	// SyscallsBy says who counted: "tracepoint" every call; "io" reads and writes
	// only, for a user without the rights for the other.
	SyscallsBy string `json:"syscalls_by,omitempty"`

	P50Min *float64 `json:"p50_min_ns,omitempty"` // over the repeats
	P50Max *float64 `json:"p50_max_ns,omitempty"`
	P99Min *float64 `json:"p99_min_ns,omitempty"`
	P99Max *float64 `json:"p99_max_ns,omitempty"`

	P90     *float64   `json:"p90_ns,omitempty"`
	P999    *float64   `json:"p999_ns,omitempty"`
	Worst   *float64   `json:"max_ns,omitempty"`
	Rate    *float64   `json:"rate_per_s,omitempty"`     // open loop: asked for
	Reached *float64   `json:"achieved_per_s,omitempty"` // open loop: delivered
	Curve   []Quantile `json:"curve,omitempty"`          // latency by percentile
	X       *float64   `json:"x,omitempty"`              // what a growth row varies
	Outcome string     `json:"outcome,omitempty"`        // crash rows: what became of it
	Note    string     `json:"note,omitempty"`
}

// A Quantile is one point of a percentile curve.
type Quantile struct {
	Percent float64 `json:"percent"`
	NS      float64 `json:"ns"`
}

// rowOf begins the row of a case.
func rowOf(c Case) Row {
	r := Row{Case: c.Axis, Impl: c.Impl, Size: c.Size, Procs: c.procs(), Batch: c.Batch, Mode: c.Mode, Capacity: c.Capacity, ZeroCopy: c.ZeroCopy}
	if c.Size == Mixed {
		r.Size = "mixed"
	}
	return r
}

func skipped(c Case, why string) Row {
	r := rowOf(c)
	r.Skipped = why
	return r
}

func some(v float64) *float64 { return &v }
