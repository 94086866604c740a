package job

import (
	"context"
	"fmt"
	"os"
	"time"

	"shmkit/bench/internal/tree"
	"shmkit/procs"
)

// A place is held by one process at a time. When the launcher has killed the
// one, the next takes over its cell of the board and goes on.
type place struct {
	run   *run
	role  string
	index int
	cell  *cell
	dooms []Doom
}

func (r *run) place(role string, index int) *place {
	p := &place{run: r, role: role, index: index}
	b := r.board.Value()
	switch role {
	case "producer":
		p.cell = &b.Producers[index]
		p.dooms = at(r.Dooms.Producers, index)
	case "consumer":
		p.cell = &b.Consumers[index]
		p.dooms = at(r.Dooms.Consumers, index)
	}
	return p
}

func at(d [][]Doom, i int) []Doom {
	if i >= len(d) {
		return nil
	}
	return d[i]
}

// keep keeps the place until a process in it has come to its own end.
func (p *place) keep(ctx context.Context) error {
	for life := 0; ; life++ {
		var doom Doom
		if life < len(p.dooms) {
			doom = p.dooms[life]
		}
		killed, err := p.live(ctx, life, doom)
		if err != nil || !killed {
			return err
		}
	}
}

// live runs one process in the place. killed says that it died of its doom.
func (p *place) live(ctx context.Context, life int, doom Doom) (killed bool, err error) {
	proc := p.process(life, doom)
	if err := proc.Start(); err != nil {
		return false, err
	}
	defer proc.Close()
	// A worker has nothing to tidy up, and one that waits in a pipe would not
	// hear of a cancelled context.
	defer context.AfterFunc(ctx, func() { proc.Kill() })()
	struck := make(chan bool, 1)
	if doom.Number != 0 {
		go func() { struck <- p.strike(ctx, proc, doom) }()
	}
	err = proc.Join(context.WithoutCancel(ctx))
	killed = doom.Number != 0 && <-struck
	if killed {
		p.record(proc.PID(), doom)
	}
	if ctx.Err() != nil {
		return killed, ctx.Err()
	}
	if killed {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s %d: %w", p.role, p.index, err)
	}
	return false, nil
}

func (p *place) process(life int, doom Doom) *procs.Process {
	o := orders{
		Impl:  p.run.kind.Name,
		Ends:  p.run.channel.Ends,
		Plan:  p.run.Plan,
		Board: p.run.board,
		Table: p.run.table,
		Doom:  doom,
		Count: p.run.Count,
	}
	f, of, files := consumer, p.run.Consumers, p.run.channel.ReceiveFiles
	if p.role == "producer" {
		f, of, files = producer, p.run.Producers, p.run.channel.SendFiles
	}
	o.Place = tree.Share{Index: p.index, Of: of}
	o.Files = len(files)
	name := fmt.Sprintf("%s-%d.%d", p.role, p.index, life)
	return f.Process(o, procs.Name(name), procs.Daemon(), procs.Stderr(os.Stderr), procs.ExtraFiles(files...))
}

// strike waits until the doomed process comes to its mark, lets it go on for
// the seeded moment, and kills it. It reports whether that was its end.
func (p *place) strike(ctx context.Context, proc *procs.Process, doom Doom) bool {
	for tick := time.Tick(100 * time.Microsecond); p.cell.Armed.Load() != int64(doom.Number); {
		select {
		case <-tick:
		case <-proc.Done():
			return false // It failed before.
		case <-ctx.Done():
			return false
		}
	}
	for begin := time.Now(); time.Since(begin) < doom.Delay; { // Too short to sleep exactly.
	}
	proc.Kill()
	<-proc.Done()
	code, ok := proc.ExitCode()
	return ok && code == -9
}

// record notes a death, and what a dead producer left for its successor.
func (p *place) record(pid int, doom Doom) {
	d := Death{Role: p.role, PID: pid, Held: p.cell.Held.Load() == int64(doom.Number)}
	d.At = int(p.cell.Hashed.Load())
	if p.role == "producer" {
		d.At = int(p.cell.Sent.Load())
		share := tree.Share{Index: p.index, Of: p.run.Producers}
		if first, _, ok := share.Locate(p.run.Plan, d.At); ok {
			for i := first; i < len(p.run.Plan.Files); i += share.Of {
				d.Unsent = append(d.Unsent, p.run.Plan.Files[i].Path)
			}
		}
	}
	p.run.mu.Lock()
	defer p.run.mu.Unlock()
	p.run.deaths = append(p.run.deaths, d)
}
