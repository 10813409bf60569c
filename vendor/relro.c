/*
 * Makes read-only what the linker has marked so (GNU_RELRO). That is the work
 * of a dynamic linker; in a program without one musl leaves it undone.
 */

#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int
protect(struct dl_phdr_info *program, size_t size, void *arg)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start, end;

	(void)size;
	(void)arg;
	for (int i = 0; i < program->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &program->dlpi_phdr[i];

		if (ph->p_type != PT_GNU_RELRO)
			continue;
		start = (program->dlpi_addr + ph->p_vaddr) & -page;
		end = (program->dlpi_addr + ph->p_vaddr + ph->p_memsz) & -page;
		if (mprotect((void *)start, end - start, PROT_READ) == -1)
			abort();
	}
	return 0;
}

__attribute__((constructor)) static void
relro(void)
{
	dl_iterate_phdr(protect, NULL);
}
