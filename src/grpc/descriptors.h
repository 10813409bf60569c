#ifndef GRPC_DESCRIPTORS_H
#define GRPC_DESCRIPTORS_H

#include <stdbool.h>

#include "grpc/descriptor_tables.h"

/* What server reflection is asked for, found in proto/'s descriptors. Names
 * are n bytes at p, without a NUL. Pure. */

/* A file by its name, as protoc knows it ("plugin.proto"); NULL: none. */
const struct descriptor_file *descriptors_file(const char *p, size_t n);

/* The file that declares a symbol: a service, method, message, field, oneof,
 * enum, or value of one, by its full name without a dot in front; NULL: none.*/
const struct descriptor_file *descriptors_symbol(const char *p, size_t n);

#endif
