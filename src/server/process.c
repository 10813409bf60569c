#include "server/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Since Linux 6.2 the directory's size is how many there are. */
static uint64_t
count_fds(void)
{
	struct stat st;
	uint64_t n = 0;
	DIR *dir;

	if (stat("/proc/self/fd", &st) == -1)
		return 0;
	if (st.st_size > 0)
		return (uint64_t)st.st_size;
	if ((dir = opendir("/proc/self/fd")) == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", "..", and dir itself */
}

static void
read_memory(struct process *p)
{
	FILE *f = fopen("/proc/self/statm", "re");
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t pages, resident;

	if (f == NULL)
		return;
	if (fscanf(f, "%" SCNu64 " %" SCNu64, &pages, &resident) == 2) {
		p->virtual = pages * page;
		p->resident = resident * page;
	}
	fclose(f);
}

void
process_read(struct process *p)
{
	struct rusage ru;
	struct rlimit fds;

	memset(p, 0, sizeof(*p));
	if (getrusage(RUSAGE_SELF, &ru) == 0)
		p->cpu_s = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		    (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
	if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
		p->max_fds = fds.rlim_cur;
	p->open_fds = count_fds();
	read_memory(p);
}
