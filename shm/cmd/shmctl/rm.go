package main

import (
	"errors"
	"fmt"
	"io/fs"

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
		missing := true // all that failed are names that there are not
		for _, name := range c.args {
			i, err := shm.Stat(name)
			switch {
			case err != nil:
			case i.Err != nil && !*force:
				err = fmt.Errorf("%q is no segment (%w); -f removes it all the same", name, i.Err)
			case *force:
				err = shm.Remove(name)
			default:
				var gone bool
				if gone, err = shm.RemoveUnused(name); err == nil && !gone {
					err = fmt.Errorf("%q is in use; -f removes it all the same", name)
				}
			}
			failed = errors.Join(failed, err)
			missing = missing && (err == nil || errors.Is(err, fs.ErrNotExist))
		}
		if !missing {
			return fmt.Errorf("%v", failed) // %v: the status is not that of a missing name
		}
		return failed
	},
}
