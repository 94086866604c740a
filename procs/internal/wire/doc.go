// Package wire turns arguments and results of processes into bytes and back.
//
// Both ends are the same program, so a value is written as its type dictates
// and nothing describes the type: numbers as varints, strings and slices with
// their length, structs field by field. That is several times faster to start
// with than a self-describing encoding, and stricter: whatever would not
// arrive as it was sent is an error of Marshal that names the path of the
// field.
//
//	kind                          bytes
//	bool, ints, uints             varint (bool: one byte)
//	floats, complex               8 or 16 bytes, little endian
//	string                        length, bytes
//	slice, map                    0 for nil, or 1 + length; elements
//	array                         elements
//	pointer                       0 for nil, or 1; element
//	struct                        exported fields; the others must be zero
//	interface                     0 for nil, or 1; gob of the value
//	with a binary, gob or text
//	(un)marshaler                 length, its bytes
//	chan, func                    nothing; must be nil
//
// A pointer arrives as a new variable: two pointers to one variable arrive as
// two. A cycle is an error. The value of an interface travels as gob, which alone
// can find a type by its name, so its type must be known to gob.Register, and a
// text marshaler is of no use there. Each marshaler is called once for a value.
package wire
