package main

import (
	"errors"
	"fmt"

	"shmkit/shm"
)

var remove = command{
	name:     "rm",
	synopsis: "rm [-f] NAME...",
	help: `Removes names. Processes that are attached go on, and nobody else can join them:
so a segment in use is removed with -f only, and so is what is no segment.
`,
	run: func(c *call) error {
		force := c.flags.Bool("f", false, "also segments in use, and files that are no segments")
		if err := c.parse(1, -1); err != nil {
			return err
		}
		var failed error
		for _, name := range c.args {
			i, err := shm.Stat(name)
			switch {
			case err != nil:
			case i.Err != nil && !*force:
				err = fmt.Errorf("%q is no segment (%w); -f removes it all the same", name, i.Err)
			case i.Attached && !*force:
				err = fmt.Errorf("%q is in use; -f removes it all the same", name)
			default:
				err = shm.Remove(name)
			}
			failed = errors.Join(failed, err)
		}
		return failed
	},
}
