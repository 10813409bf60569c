#ifndef GRPC_DESCRIPTOR_TABLES_H
#define GRPC_DESCRIPTOR_TABLES_H

#include <stddef.h>
#include <stdint.h>

/*
 * proto/ as server reflection tells it, made by descriptor_tables.py when
 * walstream is built. Rows are sorted by name, as strcmp does.
 */

/* A file: its FileDescriptorProto, encoded, with the comments. None imports
 * another. */
struct descriptor_file {
	const char *name;
	const uint8_t *bytes;
	size_t n;
};
extern const struct descriptor_file descriptor_files[];
extern const size_t descriptor_files_count;

/* Everything that has a name of its own ("plugin.ClientAck.pg_lsn"), and the
 * number of its file. */
struct descriptor_symbol {
	const char *name;
	unsigned file;
};
extern const struct descriptor_symbol descriptor_symbols[];
extern const size_t descriptor_symbols_count;

/* The services, "plugin.PluginService" and so on. */
extern const char *const descriptor_services[];
extern const size_t descriptor_services_count;

#endif
