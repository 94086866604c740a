package rival

import (
	"errors"
	"os"
	"sync"

	"shmkit/shm"
)

// makePipe makes a pipe and, if asked, the locks for those who share it.
func makePipe(s Spec, locked bool) (*Channel, error) {
	r, w, err := newPipe()
	if err != nil {
		return nil, err
	}
	return makeStream(s, r, w, locked)
}

// makeStream makes a channel of the two ends of a stream, which it owns.
func makeStream(s Spec, r, w *os.File, locked bool) (*Channel, error) {
	closeWrite := sync.OnceValue(w.Close)
	c := &Channel{
		Ends:         Ends{Spec: s},
		SendFiles:    []*os.File{w},
		ReceiveFiles: []*os.File{r},
		CloseSend:    atOnce(closeWrite),
	}
	if locked {
		locks, err := shm.New[Locks]()
		if err != nil {
			return nil, errors.Join(err, r.Close(), w.Close())
		}
		c.Ends.Locks = locks
	}
	c.Close = sync.OnceValue(func() error {
		errs := []error{closeWrite(), r.Close()}
		if c.Ends.Locks != nil {
			errs = append(errs, c.Ends.Locks.Close())
		}
		return errors.Join(errs...)
	})
	return c, nil
}
