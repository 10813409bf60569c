#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/saslprep.h"

/* Passwords in hex, a line each, come out as saslprep makes them. */
int
main(void)
{
	static char line[1 << 20], password[1 << 19];
	unsigned byte;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		size_t n = 0;
		char *prepared;

		while (sscanf(line + 2 * n, "%2x", &byte) == 1)
			password[n++] = (char)byte;
		password[n] = '\0';
		prepared = saslprep(password);
		if (prepared == NULL)
			return 1;
		for (const char *p = prepared; *p != '\0'; p++)
			printf("%02x", (uint8_t)*p);
		putchar('\n');
		free(prepared);
	}
	return ferror(stdin) || fflush(stdout) != 0;
}
