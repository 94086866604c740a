module shmkit

go 1.26.0

require (
	github.com/cespare/xxhash/v2 v2.3.0
	github.com/edsrzf/mmap-go v1.2.0
	golang.org/x/sys v0.49.0
)

require github.com/HdrHistogram/hdrhistogram-go v1.4.0

require github.com/anishathalye/porcupine v1.3.1

require golang.org/x/net v0.62.0
