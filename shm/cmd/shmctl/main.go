package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"

	_ "shmkit/futexlock" // their kinds: what locks and queues look like
	_ "shmkit/mpqueue"
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
	shmctl inspect [-json] NAME|ID    one segment: header, who is attached, locks and queues in it
	shmctl check [-json] [NAME...]    look for damage and residue; all names if none is given
	shmctl gc [-n] [-json]            remove the names that nobody is attached to; -n: only say which
	shmctl rm [-f] NAME...            remove names; -f: also of segments in use
	shmctl top [-json] [-i 1s] [-n 0] [NAME...]
	                                  how fast things change, every interval, n times (0: until ^C)

"shmctl COMMAND -h" tells more. Names live in %s.

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
	out   io.Writer
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
	if args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help" {
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

func (cmd command) call(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("shmctl "+cmd.name, flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: shmctl %s\n\n%s\n", cmd.synopsis, cmd.help)
		flags.PrintDefaults()
	}
	c := &call{out: out, flags: flags, json: flags.Bool("json", false, "print JSON, for programs")}
	c.args = args
	switch err := cmd.run(c); {
	case err == nil:
		return statusOK
	case errors.Is(err, flag.ErrHelp):
		return statusOK
	case errors.Is(err, errFound):
		return statusFailed
	case errors.Is(err, errUsage):
		return statusUsage
	case errors.Is(err, fs.ErrNotExist):
		fmt.Fprintln(errs, "shmctl:", err)
		return statusNoEntry
	default:
		fmt.Fprintln(errs, "shmctl:", err)
		return statusFailed
	}
}

// parse reads the flags and wants from least to most arguments (-1: any).
func (c *call) parse(least, most int) error {
	if err := c.flags.Parse(c.args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	c.args = c.flags.Args()
	if len(c.args) < least || most >= 0 && len(c.args) > most {
		c.flags.Usage()
		return errUsage
	}
	return nil
}

// print writes v as JSON.
func (c *call) print(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table writes rows in columns.
func (c *call) table(rows [][]string) error {
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		for i, cell := range r {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
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
