package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	_ "shmkit/futexlock" // their kinds: what locks and queues look like
	_ "shmkit/mpqueue"
	"shmkit/shm"
)

// The exit status, which scripts rely on.
const (
	statusOK      = 0
	statusFailed  = 1
	statusUsage   = 2
	statusNoEntry = 3
)

const usage = `shmctl shows and tends shared segments.

	shmctl ls [-a] [-json]            the segments that have a name; -a: and those that have none
	shmctl inspect [-json] [-u UID] NAME|ID
	                                  one segment: header, who is attached, locks and queues in it
	shmctl check [-json] [-u UID] [NAME...]
	                                  look for damage and residue; all names if none is given
	shmctl gc [-n] [-json]            remove the names that nobody is attached to; -n: only say which
	shmctl rm [-f] NAME...            remove names; -f: also of segments in use
	shmctl top [-json] [-i 1s] [-n 0] [-u UID] [NAME...]
	                                  how fast things change, every interval, n times (0: until ^C)

-u UID: also of the user with that number. "shmctl COMMAND -h" tells more. Names live in %s.

A segment is memory that several processes share. One with a name stays when
its last process ends: it is stale then, "gc" removes it, and a program that opens
the name gets it back with its contents. One without a name goes with its last
process.

Exit status: 0 all is well; 1 check found something, or an operation failed;
2 wrong usage; 3 there is no segment of that name.
`

// command is one of shmctl's.
type command struct {
	name, synopsis, help string
	run                  func(c *call) error
}

// call is one run of a command.
type call struct {
	out   *writer
	flags *flag.FlagSet
	args  []string
	json  *bool
}

var commands = []command{list, inspect, check, collect, remove, top}

// errFound says that check has found something, and has said what.
var errFound = errors.New("something was found")

// errUsage says that the arguments make no sense.
var errUsage = errors.New("wrong usage")

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes a command line and returns the exit status.
func run(args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintf(errs, usage, folder())
		return statusUsage
	}
	if args[0] == "help" && len(args) > 1 {
		args = []string{args[1], "-h"}
	}
	if isHelp(args[0]) || args[0] == "help" {
		fmt.Fprintf(out, usage, folder())
		return statusOK
	}
	for _, cmd := range commands {
		if cmd.name == args[0] {
			return cmd.call(args[1:], out, errs)
		}
	}
	fmt.Fprintf(errs, "shmctl: no command %q; try shmctl -h\n", args[0])
	return statusUsage
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

func (cmd command) call(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("shmctl "+cmd.name, flag.ContinueOnError)
	flags.SetOutput(errs)
	if slices.ContainsFunc(args, isHelp) { // asked for, so no error: "| less" works
		flags.SetOutput(out)
	}
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: shmctl %s\n\n%s\n", cmd.synopsis, cmd.help)
		flags.PrintDefaults()
	}
	w := &writer{w: out}
	c := &call{out: w, flags: flags, json: flags.Bool("json", false, "print JSON, for programs"), args: args}
	err := cmd.run(c)
	if w.err != nil {
		err = w.err
	}
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, flag.ErrHelp):
		return statusOK
	case errors.Is(err, errFound):
		return statusFailed
	case errors.Is(err, errUsage):
		return statusUsage
	}
	for line := range strings.Lines(err.Error()) { // one for each name
		fmt.Fprintln(errs, "shmctl:", plain(strings.TrimSuffix(line, "\n")))
	}
	if errors.Is(err, fs.ErrNotExist) && len(c.args) > 0 { // else it is the folder
		return statusNoEntry
	}
	return statusFailed
}

// writer remembers the first error of w: a full disk must not look like success.
type writer struct {
	w   io.Writer
	err error
}

func (w *writer) Write(b []byte) (n int, err error) {
	if w.err == nil {
		n, w.err = w.w.Write(b)
	}
	return n, w.err
}

// parse reads the flags, before and behind the arguments, and wants from least to
// most of these (-1: any). What follows "--" is no flag.
func (c *call) parse(least, most int) error {
	var args []string
	for rest := c.args; ; {
		if err := c.flags.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return err
			}
			return errUsage
		}
		left := c.flags.Args()
		read := len(rest) - len(left)
		if len(left) == 0 || read > 0 && rest[read-1] == "--" {
			args = append(args, left...)
			break
		}
		args, rest = append(args, left[0]), left[1:]
	}
	c.args = args
	switch {
	case len(args) < least:
		return c.wrong("a name is wanted")
	case most >= 0 && len(args) > most:
		return c.wrong(fmt.Sprintf("too many arguments: %q", args[most:]))
	}
	return nil
}

// wrong says what is wrong with the arguments, and how they should be.
func (c *call) wrong(why string) error {
	fmt.Fprintf(c.flags.Output(), "%s: %s\n", c.flags.Name(), why)
	c.flags.Usage()
	return errUsage
}

// trusting adds the flag by which segments of another user are opened.
func (c *call) trusting() func() []shm.Option {
	uid := c.flags.Int("u", -1, "open segments of the user with this number, too")
	return func() []shm.Option {
		if *uid < 0 {
			return nil
		}
		return []shm.Option{shm.WithTrustUID(*uid)}
	}
}

// print writes v as JSON.
func (c *call) print(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table writes rows in columns. The last cell of a row that is shorter than the
// first one is a remark and may reach into the next columns.
func (c *call) table(rows [][]string) {
	var widths []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if r[i] = plain(cell); i < len(r)-1 || len(r) == len(rows[0]) {
				widths[i] = max(widths[i], utf8.RuneCountInString(r[i]))
			}
		}
	}
	for _, r := range rows {
		line := ""
		for i, cell := range r {
			if i > 0 {
				line += "  "
			}
			line += cell + strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)))
		}
		fmt.Fprintln(c.out, strings.TrimRight(line, " "))
	}
}

// plain writes what a terminal would obey, or a line break, as Go does in quotes:
// names are what their makers chose.
func plain(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

func folder() string {
	if d := os.Getenv("SHMKIT_DIR"); d != "" {
		return d
	}
	return "/dev/shm"
}

// bytes writes a size for people.
func bytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
