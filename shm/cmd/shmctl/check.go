package main

import (
	"errors"
	"fmt"
	"io/fs"

	"shmkit/shm"
)

// finding is what check says of one name, in JSON.
type finding struct {
	Name     string   `json:"name"`
	Findings []string `json:"findings"`
}

var check = command{
	name:     "check",
	synopsis: "check [-json] [-u UID] [NAME...]",
	help: `Attaches to the segments, which releases what dead processes held there, and looks
for what does not add up: damaged headers, locks and queues in impossible states,
things left by the dead. Operations that others have in progress can look like
damage: check when they rest. Exit status 1 if there is anything. Where no name is given,
segments of other users are left out.
`,
	run: func(c *call) error {
		trust := c.trusting()
		if err := c.parse(0, -1); err != nil {
			return err
		}
		names := c.args
		if len(names) == 0 {
			all, err := shm.List()
			if err != nil {
				return err
			}
			for _, i := range all {
				names = append(names, i.Name)
			}
		}
		out := []finding{}
		found, foreign := 0, 0
		for _, name := range names {
			f := finding{Name: name, Findings: []string{}}
			s, err := shm.OpenSegment(name, trust()...)
			if len(c.args) == 0 && (errors.Is(err, shm.ErrForeign) || errors.Is(err, fs.ErrPermission)) {
				foreign++
				continue
			}
			if err != nil {
				if len(c.args) > 0 {
					if _, missing := shm.Stat(name); missing != nil {
						return err
					}
				}
				f.Findings = append(f.Findings, err.Error())
			} else {
				for _, err := range shm.Check(s) {
					f.Findings = append(f.Findings, err.Error())
				}
				if err := s.Close(); err != nil {
					f.Findings = append(f.Findings, err.Error())
				}
			}
			found += len(f.Findings)
			out = append(out, f)
		}
		if *c.json {
			if err := c.print(out); err != nil {
				return err
			}
		} else {
			for _, f := range out {
				for _, text := range f.Findings {
					fmt.Fprintf(c.out, "%s: %s\n", plain(f.Name), plain(text))
				}
			}
			others := ""
			if foreign > 0 {
				others = fmt.Sprintf("; %d of other users not looked at", foreign)
			}
			fmt.Fprintf(c.out, "%d segments, %d findings%s\n", len(out), found, others)
		}
		if found > 0 {
			return errFound
		}
		return nil
	},
}
