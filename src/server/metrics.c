#include "server/metrics.h"

const uint32_t metrics_bounds[TURN_BUCKETS - 1] = { 100, 500, 1000, 5000, 10000,
	25000, 50000, 100000, 250000, 1000000 };

void
metrics_turn(struct metrics *m, int64_t us, int64_t cpu_us)
{
	uint64_t took = us > 0 ? (uint64_t)us : 0;
	int i = 0;

	while (i < TURN_BUCKETS - 1 && took > metrics_bounds[i])
		i++;
	m->turns[i]++;
	m->turns_us += took;
	if (took > m->longest_us)
		m->longest_us = took;
	if (cpu_us > 0 && (uint64_t)cpu_us > m->longest_cpu_us)
		m->longest_cpu_us = (uint64_t)cpu_us;
}

/* Who has not been told how it ended has ended it. */
void
metrics_ended(struct metrics *m, enum grpc_code code)
{
	m->ended[code == GRPC_OK ? GRPC_CANCELLED : code]++;
}
