#include "textflag.h"

// func pause(n uint32)
// YIELD is a no-op on most cores; ISB really waits some ten cycles.
TEXT ·pause(SB), NOSPLIT, $0-4
	MOVWU n+0(FP), R0
	CBZ R0, done
again:
	ISB $15
	SUBW $1, R0
	CBNZ R0, again
done:
	RET
