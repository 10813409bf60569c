#ifndef SERVER_PROCESS_H
#define SERVER_PROCESS_H

#include <stdint.h>

/* What this process uses of the machine. */
struct process {
	double cpu_s; /* user and system */
	/* 0: not known, for lack of /proc. */
	uint64_t resident, virtual; /* bytes */
	uint64_t open_fds, max_fds;
};

void process_read(struct process *p);

#endif
