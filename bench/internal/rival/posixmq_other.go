//go:build !linux

package rival

import (
	"errors"
	"os"
	"time"
)

func mqLimits() (messages, bytes int) { return 0, 0 }

func mqOpen(messages, bytes int) (*os.File, error) { return nil, errors.ErrUnsupported }

func mqSend(*os.File, []byte) error { return errors.ErrUnsupported }

func mqSendUntil(*os.File, []byte, time.Time) error { return errors.ErrUnsupported }

func mqReceive(*os.File, []byte) (int, error) { return 0, errors.ErrUnsupported }
