#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "event/proto_reflection.h"
#include "grpc/descriptors.h"
#include "guard.h"

/* Name of the file, or NULL; the name that is looked up ends at a guard
 * page. */
static const char *
file_of(const struct descriptor_file *(*find)(const char *, size_t),
    const char *name, size_t n)
{
	uint8_t *p = guard_copy(name, n);
	const struct descriptor_file *file = find((const char *)p, n);

	guard_free(p, n);
	return file == NULL ? NULL : file->name;
}

static const char *
symbol(const char *name)
{
	return file_of(descriptors_symbol, name, strlen(name));
}

static void
test_symbols_are_found(void **state)
{
	static const char *const plugin[] = { "plugin.PluginService",
		"plugin.PluginService.Session", "plugin.ClientAck",
		"plugin.ClientAck.pg_lsn", "plugin.ClientMessage.msg",
		"plugin.Operation", "plugin.INSERT" };

	(void)state;
	for (size_t i = 0; i < sizeof(plugin) / sizeof(plugin[0]); i++)
		assert_string_equal(symbol(plugin[i]), "plugin.proto");
	assert_string_equal(symbol("grpc.health.v1.Health.Watch"),
	    "health.proto");
	assert_string_equal(
	    symbol("grpc.health.v1.HealthCheckResponse.ServingStatus"),
	    "health.proto");
	assert_string_equal(symbol("grpc.reflection.v1.ServerReflection"),
	    "reflection.proto");
	assert_string_equal(symbol("grpc.reflection.v1alpha.ServerReflection"),
	    "reflection_v1alpha.proto");
}

static void
test_others_are_not(void **state)
{
	static const char *const none[] = { "", "plugin", "plugin.", ".plugin",
		".plugin.ClientAck", "plugin.ClientAc", "plugin.ClientAckk",
		"plugin.clientack", "plugin.ClientAck.", "a", "zzz",
		"plugin.Operation.INSERT", "\xff\xff" };

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (symbol(none[i]) != NULL)
			fail_msg("found: %s", none[i]);
	assert_null(file_of(descriptors_symbol, "plugin.ClientAck\0", 17));
	assert_null(file_of(descriptors_file, "plugin.proto\0", 13));
	assert_null(file_of(descriptors_file, "", 0));
	assert_string_equal(file_of(descriptors_file, "plugin.proto", 12),
	    "plugin.proto");
}

/* Every row is found by its name, and in the order that bsearch needs. */
static void
test_tables_are_sorted(void **state)
{
	(void)state;
	for (size_t i = 0; i < descriptor_symbols_count; i++) {
		const struct descriptor_symbol *s = &descriptor_symbols[i];

		assert_string_equal(symbol(s->name),
		    descriptor_files[s->file].name);
		if (i > 0)
			assert_true(strcmp(s[-1].name, s->name) < 0);
	}
	for (size_t i = 1; i < descriptor_files_count; i++)
		assert_true(strcmp(descriptor_files[i - 1].name,
				descriptor_files[i].name) < 0);
	assert_true(descriptor_symbols_count > 100);
	assert_int_equal(descriptor_services_count, 4);
}

struct row {
	const char *bytes;
	size_t n;
	enum reflection_kind kind;
	const char *name;
};

static void
test_requests_are_read(void **state)
{
	static const struct row rows[] = {
		{ "", 0, REFLECTION_NOTHING, "" },
		{ "\x1a\x01"
		  "f",
		    3, REFLECTION_FILE, "f" },
		{ "\x22\x02sy", 4, REFLECTION_SYMBOL, "sy" },
		{ "\x2a\x05\x0a\x01t\x10\x07", 7, REFLECTION_EXTENSION, "t" },
		{ "\x2a\x00", 2, REFLECTION_EXTENSION, "" },
		{ "\x32\x01t", 3, REFLECTION_NUMBERS, "t" },
		{ "\x3a\x00", 2, REFLECTION_SERVICES, "" },
		/* The last one counts. */
		{ "\x22\x02sy\x3a\x01*", 7, REFLECTION_SERVICES, "*" },
		{ "\x22\x02sy\x2a\x00", 6, REFLECTION_EXTENSION, "" },
		/* A field nobody knows, a number and bytes. */
		{ "\x48\x05\x52\x01x\x1a\x01g", 8, REFLECTION_FILE, "g" },
	};
	struct reflection_request q;
	struct err err;
	uint8_t *p;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		p = guard_copy(rows[i].bytes, rows[i].n);
		assert_int_equal(proto_get_reflection(&q, p, rows[i].n, &err),
		    0);
		assert_int_equal(q.kind, rows[i].kind);
		assert_int_equal(q.name.n, strlen(rows[i].name));
		assert_memory_equal(q.name.p, rows[i].name, q.name.n);
		assert_int_equal(q.host.n, 0);
		assert_ptr_equal(q.whole, p);
		assert_int_equal(q.whole_len, rows[i].n);
		guard_free(p, rows[i].n);
	}
}

static void
test_malformed_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} rows[] = {
		{ "\x1a", 1 },
		{ "\x1a\x02x", 3 },
		{ "\x18\x01", 2 },
		{ "\x08\x01", 2 },
		{ "\x28\x01", 2 },
		{ "\x2a\x02\x08\x01", 4 },
		{ "\x2a\x02\x12\x00", 4 },
		{ "\x2a\x02\x0a\x05", 4 },
		{ "\x1a\x01\xff", 3 },
		{ "\x0a\x02\xc0\x80", 4 },
		{ "\x00\x00", 2 },
	};
	struct reflection_request q;
	struct err err;
	uint8_t *p;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		p = guard_copy(rows[i].bytes, rows[i].n);
		assert_int_equal(proto_get_reflection(&q, p, rows[i].n, &err),
		    -1);
		assert_int_equal(err.kind, ERR_PROTO);
		guard_free(p, rows[i].n);
	}
}

/* 255 bytes are a name, 256 are not. */
static void
test_long_names(void **state)
{
	uint8_t bytes[3 + 256] = { 0x22 };
	struct reflection_request q;
	struct err err;

	(void)state;
	memset(bytes + 3, 'x', 256);
	bytes[1] = 0xff;
	bytes[2] = 0x01;
	assert_int_equal(proto_get_reflection(&q, bytes, 3 + 255, &err), 0);
	assert_int_equal(q.name.n, REFLECTION_MAX_NAME);
	bytes[1] = 0x80;
	bytes[2] = 0x02;
	assert_int_equal(proto_get_reflection(&q, bytes, 3 + 256, &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
}

static void
test_answers(void **state)
{
	static const char request[] = "\x0a\x01h\x1a\x01g";
	static const char *const names[] = { "a.B", "c" };
	static const struct {
		const char *bytes;
		size_t n;
	} want[] = {
		{ "\x0a\x01h\x12\x06\x0a\x01h\x1a\x01g\x22\x04\x0a\x02xy", 17 },
		{ "\x0a\x01h\x12\x06\x0a\x01h\x1a\x01g\x2a\x03\x0a\x01g", 16 },
		{ "\x0a\x01h\x12\x06\x0a\x01h\x1a\x01g\x32\x0c\x0a\x05\x0a\x03"
		  "a.B\x0a\x03\x0a\x01"
		  "c",
		    25 },
		{ "\x0a\x01h\x12\x06\x0a\x01h\x1a\x01g\x3a\x06\x08\x05\x12\x02"
		  "no",
		    19 },
	};
	struct reflection_request q;
	struct buf out;
	struct err err;

	(void)state;
	assert_int_equal(proto_get_reflection(&q, (const uint8_t *)request,
			     sizeof(request) - 1, &err),
	    0);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		buf_init(&out, 1024);
		if (i == 0)
			proto_put_reflected_file(&out, &q,
			    (const uint8_t *)"xy", 2);
		else if (i == 1)
			proto_put_reflected_numbers(&out, &q);
		else if (i == 2)
			proto_put_reflected_services(&out, &q, names, 2);
		else
			proto_put_reflected_error(&out, &q, 5, "no");
		assert_false(out.failed);
		assert_int_equal(buf_unread(&out), want[i].n);
		assert_memory_equal(buf_head(&out), want[i].bytes, want[i].n);
		buf_free(&out);
	}
}

static void
test_no_room(void **state)
{
	static const uint8_t big[4096] = { 1 };
	struct reflection_request q = { .kind = REFLECTION_FILE };
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	proto_put_reflected_file(&out, &q, big, sizeof(big));
	assert_true(out.failed);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbols_are_found),
		cmocka_unit_test(test_others_are_not),
		cmocka_unit_test(test_tables_are_sorted),
		cmocka_unit_test(test_requests_are_read),
		cmocka_unit_test(test_malformed_is_refused),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
