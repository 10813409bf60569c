#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "event/proto_health.h"
#include "guard.h"

static void
test_request_comes_back(void **state)
{
	char service[HEALTH_MAX_SERVICE + 1];
	struct err err;
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	proto_put_health_request(&b, "plugin.PluginService");
	assert_false(b.failed);
	assert_int_equal(proto_get_health_request(buf_head(&b), buf_unread(&b),
			     service, &err),
	    0);
	assert_string_equal(service, "plugin.PluginService");
	buf_free(&b);
}

static void
test_no_service_is_empty(void **state)
{
	char service[HEALTH_MAX_SERVICE + 1] = "x";
	struct err err;

	(void)state;
	assert_int_equal(proto_get_health_request((const uint8_t *)"", 0,
			     service, &err),
	    0);
	assert_string_equal(service, "");
}

static void
test_long_names_are_cut(void **state)
{
	char name[1001], service[HEALTH_MAX_SERVICE + 1];
	struct err err;
	struct buf b;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	buf_init(&b, 4096);
	proto_put_health_request(&b, name);
	assert_int_equal(proto_get_health_request(buf_head(&b), buf_unread(&b),
			     service, &err),
	    0);
	assert_int_equal(strlen(service), HEALTH_MAX_SERVICE);
	buf_free(&b);
}

static void
test_answers_come_back(void **state)
{
	enum health status;
	struct err err;
	struct buf b;

	(void)state;
	for (int i = HEALTH_UNKNOWN; i <= HEALTH_SERVICE_UNKNOWN; i++) {
		buf_init(&b, 1024);
		proto_put_health(&b, (enum health)i);
		assert_int_equal(proto_get_health(buf_head(&b), buf_unread(&b),
				     &status, &err),
		    0);
		assert_int_equal(status, i);
		buf_free(&b);
	}
	assert_string_equal(health_name(HEALTH_SERVING), "SERVING");
	assert_string_equal(health_name((enum health)77), "UNKNOWN");
}

/* Fields that are cut off, of a wrong type, or of no type. */
static void
test_malformed_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = { { "\x0a", 1 }, { "\x0a\x05x", 3 }, { "\x0f", 1 },
		{ "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 },
		{ "\x00\x00", 2 } };
	char service[HEALTH_MAX_SERVICE + 1];
	enum health status;
	struct err err;
	uint8_t *p;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		p = guard_copy(bad[i].bytes, bad[i].n);
		assert_int_equal(proto_get_health_request(p, bad[i].n, service,
				     &err),
		    -1);
		assert_int_equal(err.kind, ERR_PROTO);
		assert_int_equal(proto_get_health(p, bad[i].n, &status, &err),
		    -1);
		guard_free(p, bad[i].n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_comes_back),
		cmocka_unit_test(test_no_service_is_empty),
		cmocka_unit_test(test_long_names_are_cut),
		cmocka_unit_test(test_answers_come_back),
		cmocka_unit_test(test_malformed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
