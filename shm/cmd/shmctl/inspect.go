package main

import (
	"fmt"
	"time"

	"shmkit/shm"
)

// inspection is what inspect prints in JSON.
type inspection struct {
	segment
	Slots        int           `json:"slots"`  // of the participant table
	Claims       int           `json:"claims"` // how often a process has attached
	Sweeps       int           `json:"sweeps"` // how many dead ones were swept
	Participants []participant `json:"participants"`
	Items        []item        `json:"items"`
}

type participant struct {
	Token string `json:"token"`
	PID   int    `json:"pid"`
	Name  string `json:"name,omitempty"`
	State string `json:"state"` // live, dying, dead, claiming
}

type item struct {
	Offset   int               `json:"offset"`
	Kind     string            `json:"kind"`
	State    string            `json:"state"`
	Since    string            `json:"since,omitempty"` // of top: unchanged for at least so long
	Counters map[string]uint64 `json:"counters,omitempty"`
}

var inspect = command{
	name:     "inspect",
	synopsis: "inspect [-json] [-u UID] NAME|ID",
	help: `Shows one segment: what its header says, who is attached and whether they live,
and every lock and queue in it with its state, its holder and its depth. It only
looks: dead participants stay as they are. ID is the beginning of the ID of a
segment without a name, at least 8 digits; see ls -a.
`,
	run: func(c *call) error {
		trust := c.trusting()
		if err := c.parse(1, 1); err != nil {
			return err
		}
		s, err := shm.Peek(c.args[0], trust()...)
		if err != nil {
			return err
		}
		defer s.Close()
		in := look(s)
		if *c.json {
			return c.print(in)
		}
		name := in.Name
		if name == "" {
			name = "(no name)"
		}
		rows := [][]string{
			{"name", name}, {"id", in.ID}, {"state", in.State}, {"kind", in.Kind}, {"holds", in.Type},
			{"size", fmt.Sprintf("%s, payload %s", bytes(in.Size), bytes(in.Payload))},
			{"made", fmt.Sprintf("%s ago, by pid %d", time.Since(in.Created).Round(time.Second), in.Creator)},
			{"table", fmt.Sprintf("%d slots; %d have come, %d dead were swept", in.Slots, in.Claims, in.Sweeps)},
		}
		c.table(rows)
		fmt.Fprintln(c.out)
		rows = [][]string{{"PARTICIPANT", "PID", "STATE", "NAME"}}
		for _, p := range in.Participants {
			rows = append(rows, []string{p.Token, fmt.Sprint(p.PID), p.State, p.Name})
		}
		if len(rows) == 1 {
			rows = [][]string{{"nobody is attached"}}
		}
		c.table(rows)
		if len(in.Items) == 0 {
			return nil
		}
		fmt.Fprintln(c.out)
		rows = [][]string{{"OFFSET", "KIND", "STATE"}}
		for _, it := range in.Items {
			rows = append(rows, []string{fmt.Sprint(it.Offset), it.Kind, it.State})
		}
		c.table(rows)
		return nil
	},
}

// look describes s.
func look(s *shm.Segment) inspection {
	in := inspection{segment: segmentOf(s.Info()), Slots: s.MaxParticipants(), Claims: s.Claims(), Sweeps: s.Sweeps(),
		Participants: []participant{}, Items: []item{}}
	for _, p := range s.Participants() {
		state := p.State
		if state == "live" && !s.Alive(p.Token) {
			state = "dead, not swept"
		} else if s.Dying(p.Token) {
			state = "dying"
		}
		in.Participants = append(in.Participants, participant{p.Token.String(), p.PID, p.Name, state})
	}
	for _, it := range shm.Describe(s) {
		out := item{Offset: it.Offset, Kind: it.Kind, State: it.State}
		for _, n := range it.Counters {
			if out.Counters == nil {
				out.Counters = map[string]uint64{}
			}
			out.Counters[n.Name] = n.Value
		}
		in.Items = append(in.Items, out)
	}
	return in
}
