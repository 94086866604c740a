package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/matrix"
)

// A File is what one run of the matrix has found out.
type File struct {
	Args    string       `json:"args,omitempty"` // of the command that made it: "matrix -time 150ms"
	Machine machine.Info `json:"machine"`
	Quick   bool         `json:"quick"`
	Only    string       `json:"only,omitempty"`
	Steal   float64      `json:"steal_percent"` // -1: not known
	Seconds float64      `json:"seconds"`       // that the run took
	// RepeatSeconds is how long one repeat should take; 0: as long as in any
	// full, or quick, run.
	RepeatSeconds float64      `json:"repeat_seconds,omitempty"`
	Failed        []string     `json:"failed,omitempty"`  // cases that went wrong, and how
	Missing       []string     `json:"missing,omitempty"` // cases that there was no time for
	Rows          []matrix.Row `json:"rows"`
}

// Name is what the file is called: by date, system and Go version.
func (f *File) Name() string {
	date := strings.NewReplacer(":", "", "-", "").Replace(f.Machine.Date)
	return fmt.Sprintf("%s-%s-%s-%dcpu-%s.json", date, f.Machine.OS, f.Machine.Arch, f.Machine.CPUs, f.Machine.Go)
}

// Save writes the file into the folder, one row a line, so that two runs can
// be compared line by line.
func (f *File) Save(dir string) (path string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	rows := f.Rows
	head := *f
	head.Rows = []matrix.Row{}
	b, err := json.MarshalIndent(head, "", " ")
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(string(b), "[]\n}") + "[\n"
	for i, r := range rows {
		line, err := json.Marshal(r)
		if err != nil {
			return "", err
		}
		text += "  " + string(line)
		if i < len(rows)-1 {
			text += ","
		}
		text += "\n"
	}
	path = filepath.Join(dir, f.Name())
	return path, os.WriteFile(path, []byte(text+" ]\n}\n"), 0o644)
}

// Load reads a file.
func Load(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var f File
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(f.Rows) == 0 {
		return nil, fmt.Errorf("%s: no rows in it", path)
	}
	return &f, nil
}

// Latest names the newest file of a folder, by its name, which begins with the
// date. fs.ErrNotExist says that there is none.
func Latest(dir string) (string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err == nil && len(names) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return "", fmt.Errorf("%s: no results: %w", dir, err)
	}
	slices.Sort(names)
	return names[len(names)-1], nil
}

// rows lists those of one case that were measured, in their order.
func (f *File) rows(name string) []matrix.Row {
	var rows []matrix.Row
	for _, r := range f.Rows {
		if r.Case == name {
			rows = append(rows, r)
		}
	}
	return rows
}

// Noise says in a line how far the run can be trusted, or "" if nothing speaks
// against it.
func (f *File) Noise() string {
	var wide, all int
	for _, r := range f.Rows {
		if r.Min != nil && r.Max != nil && *r.Min > 0 && r.Repeats > 1 {
			if all++; *r.Max > 1.5**r.Min {
				wide++
			}
		}
	}
	var s []string
	if f.Steal > 1 {
		s = append(s, fmt.Sprintf("the hypervisor kept %.1f %% of the CPU time for others", f.Steal))
	}
	if all > 0 && wide*3 > all {
		s = append(s, fmt.Sprintf("in %d of %d cases the slowest repeat took more than 1.5 times the fastest", wide, all))
	}
	if d := f.drift(); d > 1.5 {
		s = append(s, fmt.Sprintf("a case that was measured at several times of the run differed by up to %.1f times, so compare within one table", d))
	}
	if f.Machine.CPUs < 4 {
		s = append(s, fmt.Sprintf("only %d CPUs: from 2x2 on processes take turns", f.Machine.CPUs))
	}
	return strings.Join(s, "; ")
}

// drift is how much slower the base point of a rival was at one time of the run
// than at another: some growth rows are that point too.
func (f *File) drift() float64 {
	least, most := map[string]float64{}, map[string]float64{}
	worst := 1.0
	for _, r := range f.Rows {
		again := r.Case == "grow-procs" && value(r.X) == 1 || r.Case == "grow-capacity" && value(r.X) == 1024
		if r.NSPerMsg == nil || r.Case != "base" && !again {
			continue
		}
		n := *r.NSPerMsg
		if least[r.Impl] == 0 {
			least[r.Impl] = n
		}
		least[r.Impl], most[r.Impl] = min(least[r.Impl], n), max(most[r.Impl], n)
		worst = max(worst, most[r.Impl]/least[r.Impl])
	}
	return worst
}

// ErrNoMarks says that a file has no place for a table.
var ErrNoMarks = errors.New("no marks for tables in it")
