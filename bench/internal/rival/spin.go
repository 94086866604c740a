package rival

import (
	"context"
	"errors"

	"shmkit/mpqueue"
	"shmkit/shm"
)

// spin tries until it works, and never sleeps.
func spin(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		if !errors.Is(err, mpqueue.ErrEmpty) && !errors.Is(err, mpqueue.ErrFull) && !errors.Is(err, mpqueue.ErrBusy) {
			return err
		}
		shm.Pause(4)
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
