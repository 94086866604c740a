//go:build !linux

package rival

import (
	"errors"
	"os"
)

func newEventFD() (*os.File, error) { return nil, errors.ErrUnsupported }
