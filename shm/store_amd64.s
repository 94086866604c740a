//go:build !race && !purego

#include "textflag.h"

// func storeRelease64(p *uint64, v uint64)
// Every store of amd64 is a release store; Go's own atomic store adds a full
// fence (XCHG), ten times as dear.
TEXT ·storeRelease64(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ p+0(FP), AX
	MOVQ v+8(FP), CX
	MOVQ CX, (AX)
	RET
