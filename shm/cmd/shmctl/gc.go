package main

import (
	"fmt"

	"shmkit/shm"
)

var collect = command{
	name:     "gc",
	synopsis: "gc [-n] [-json]",
	help: `Removes the names of segments that nobody is attached to, and whose maker did not
ask to keep them. What is in use is never touched, however old it is.
`,
	run: func(c *call) error {
		dry := c.flags.Bool("n", false, "only say what would be removed")
		if err := c.parse(0, 0); err != nil {
			return err
		}
		gone := []string{}
		var failed error
		if *dry {
			all, err := shm.List()
			if err != nil {
				return err
			}
			for _, i := range all {
				if i.Err == nil && !i.Attached && !i.Keep {
					gone = append(gone, i.Name)
				}
			}
		} else {
			names, err := shm.Collect()
			gone, failed = append(gone, names...), err
		}
		if *c.json {
			if err := c.print(gone); err != nil {
				return err
			}
			return failed
		}
		for _, name := range gone {
			fmt.Fprintln(c.out, plain(name))
		}
		return failed
	},
}
