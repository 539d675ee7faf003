/*
 * GMP, in which signatures are computed, has no answer to an allocation that fails: it ends the
 * process. This gives it memory that is set aside for the moment in which there is none. Its
 * numbers live no longer than a signature, so a little goes a long way.
 */
#ifndef SECURITY_RESERVE_H
#define SECURITY_RESERVE_H

/* Once, before the program has other threads: what GMP calls is one for the whole process. */
void security_reserve(void);

#endif
