//go:build !linux

package machine

import "time"

// Now reports nanoseconds on a clock that all processes of this machine share.
func Now() int64 { return time.Now().UnixNano() }
