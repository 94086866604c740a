package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"shmkit/shm"
)

var list = command{
	name:     "ls",
	synopsis: "ls [-a] [-json]",
	help: `Lists the segments that have a name: their kind, what they hold, their size, when
and by which process they were made, and their state:

	used     some process is attached
	stale    nobody is attached: gc removes it, a program that opens it gets it back
	kept     nobody is attached, and it was made to stay
	foreign  of another user, whose segments this one may not read
	broken   no segment, or a damaged one

With -a also those that have no name, of processes that are visible; they show
their ID, and who has them open.
`,
	run: func(c *call) error {
		anonymous := c.flags.Bool("a", false, "also segments without a name")
		if err := c.parse(0, 0); err != nil {
			return err
		}
		all, err := shm.List()
		if err != nil {
			return err
		}
		if *anonymous {
			more, err := shm.ListAnonymous()
			if err != nil {
				return err
			}
			all = append(all, more...)
		}
		out := make([]segment, 0, len(all))
		for _, i := range all {
			out = append(out, segmentOf(i))
		}
		if *c.json {
			return c.print(out)
		}
		rows := [][]string{{"NAME", "STATE", "KIND", "TYPE", "SIZE", "AGE", "CREATOR"}}
		if *anonymous {
			rows[0] = append(rows[0], "OPEN IN")
		}
		for _, s := range out {
			if s.Error != "" {
				rows = append(rows, []string{s.Name, s.State, s.Error})
				continue
			}
			name := s.Name
			if name == "" {
				name = s.ID[:16]
			}
			rows = append(rows, []string{name, s.State, s.Kind, s.Type, bytes(s.Size),
				time.Since(s.Created).Round(time.Second).String(), fmt.Sprintf("pid %d", s.Creator),
				strings.Trim(fmt.Sprint(s.PIDs), "[]")})
		}
		c.table(rows)
		return nil
	},
}

// segment is what ls and inspect say of one, in JSON.
type segment struct {
	Name    string    `json:"name,omitempty"`
	ID      string    `json:"id,omitempty"`
	State   string    `json:"state"` // used, stale, kept, foreign, broken
	Kind    string    `json:"kind,omitempty"`
	Type    string    `json:"type,omitempty"`
	Size    int64     `json:"size"`
	Payload int64     `json:"payload"`
	Created time.Time `json:"created,omitzero"`
	Creator int       `json:"creator,omitempty"`
	PIDs    []int     `json:"pids,omitempty"`
	Error   string    `json:"error,omitempty"`
}

func segmentOf(i shm.Info) segment {
	s := segment{
		Name: i.Name, ID: i.ID.String(), Kind: i.Kind, Type: i.Type, Size: i.Size, Payload: i.Payload,
		Created: i.Created, Creator: i.Creator, PIDs: i.PIDs,
	}
	switch {
	case errors.Is(i.Err, fs.ErrPermission):
		s.State, s.Error, s.ID = "foreign", i.Err.Error(), ""
	case i.Err != nil:
		s.State, s.Error, s.ID = "broken", i.Err.Error(), ""
	case i.Attached:
		s.State = "used"
	case i.Keep:
		s.State = "kept"
	default:
		s.State = "stale"
	}
	return s
}
