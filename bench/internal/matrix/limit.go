package matrix

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// limitLine is a line that the C program prints.
type limitLine struct {
	Name string  `json:"name"`
	Size int     `json:"size"`
	NS   float64 `json:"ns"`
	N    int64   `json:"n"`
	Lost int64   `json:"lost"`
}

// limits builds the C program with the C compiler of this machine and runs
// it: what the hardware gives to a program that spins and survives no death.
func limits(ctx context.Context, source string, e Effort) ([]Row, error) {
	row := func(l limitLine) Row {
		c := Base("c-" + l.Name)
		c.Axis, c.Size, c.Capacity = "limit", l.Size, 64
		r := rowOf(c)
		r.Mode = "spin"
		return r
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		r := row(limitLine{Name: "limit", Size: 64})
		r.Skipped = "no C compiler (cc) on this machine"
		return []Row{r}, nil
	}
	dir, err := os.MkdirTemp("", "shmkit-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	src, exe := filepath.Join(dir, "limit.c"), filepath.Join(dir, "limit")
	if err := os.WriteFile(src, []byte(source), 0o600); err != nil {
		return nil, err
	}
	if _, err := tool(ctx, cc, "-O2", "-pthread", "-o", exe, src); err != nil {
		return nil, err
	}
	type key struct {
		name string
		size int
	}
	var order []key
	values := map[key][]float64{}
	for range e.Repeats {
		out, err := tool(ctx, exe, fmt.Sprint(max(1, e.Time/time.Millisecond)))
		if err != nil {
			return nil, err
		}
		for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
			var l limitLine
			if err := json.Unmarshal(s.Bytes(), &l); err != nil {
				return nil, fmt.Errorf("limit: %w", err)
			}
			if l.Lost > 0 {
				return nil, fmt.Errorf("limit: %s: %d wrong", l.Name, l.Lost)
			}
			k := key{l.Name, l.Size}
			if values[k] == nil {
				order = append(order, k)
			}
			values[k] = append(values[k], l.NS)
		}
	}
	var rows []Row
	for _, k := range order {
		v := values[k]
		r := row(limitLine{Name: k.name, Size: k.size})
		r.NSPerMsg, r.Repeats, r.DeliveredOK = some(median(v)), len(v), true
		r.Min, r.Max = some(v[0]), some(v[len(v)-1])
		switch k.name {
		case "ring", "memcpy-memcmp":
			r.BytesPerS = some(float64(k.size) * 1e9 / *r.NSPerMsg)
		case "futex-pingpong":
			r.Mode = "block"
		}
		rows = append(rows, r)
	}
	return rows, nil
}
