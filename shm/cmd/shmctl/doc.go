// Command shmctl shows and tends shared segments.
//
//	shmctl ls [-a] [-json]                    the segments that have a name; -a: and those that have none
//	shmctl inspect [-json] [-u UID] NAME|ID   one segment: header, who is attached, locks and queues in it
//	shmctl check [-json] [-u UID] [NAME...]   look for damage and residue; all names if none is given
//	shmctl gc [-n] [-json]                    remove the names that nobody is attached to; -n: only say which
//	shmctl rm [-f] NAME...                    remove names; -f: also of segments in use
//	shmctl top [-json] [-i 1s] [-n 0] [-u UID] [NAME...]
//	                                          how fast things change, every interval, n times (0: until ^C)
//
// -u UID: also segments of the user with that number. Flags may stand behind names.
//
// Names live in /dev/shm, or in the folder that SHMKIT_DIR names.
//
// The exit status is 0 if all is well, 1 if check found something or an operation
// failed, 2 for wrong usage, and 3 if there is no segment of a given name.
//
// inspect, ls and top only look: they take no place in a segment and sweep nobody
// who died there. check attaches, which sweeps the dead as every newcomer does,
// and then looks.
package main
