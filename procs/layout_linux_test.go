package procs

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// The table of LAYOUT.md and the constants say the same.
func TestLayout(t *testing.T) {
	text, err := os.ReadFile("LAYOUT.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| [^|]+ \| (\w+) \|`).FindAllStringSubmatch(string(text), -1) {
		got[row[2]], _ = strconv.ParseInt(row[1], 10, 64)
	}
	want := map[string]int64{"state": 0, "length": lengthOffset, "words": wordsOffset, "crash": crashOffset}
	if len(got) != len(want) {
		t.Errorf("LAYOUT.md has the fields %v, want %v", got, want)
	}
	for name, off := range want {
		if got[name] != off {
			t.Errorf("%s: LAYOUT.md says %d, the code %d", name, got[name], off)
		}
	}
}

// Whatever stands in a report, reading it gives an outcome, not a panic.
func TestDamagedReport(t *testing.T) {
	for _, bytes := range [][]byte{
		nil,
		{1},
		{2, 0, 0, 0},
		{2, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3},
		{2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3},
		{2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3},
		{9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9},
	} {
		r, err := newReport()
		if err != nil {
			t.Fatal(err)
		}
		pwrite(r.fd, bytes, 0)
		if state, words, _ := r.read(); state == reportFinished {
			t.Errorf("% x: finished with %+v", bytes, words)
		}
		r.close()
	}
}
