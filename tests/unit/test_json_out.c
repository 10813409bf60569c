#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/json_out.h"

static struct buf out;

static int
setup(void **state)
{
	(void)state;
	buf_init(&out, 4096);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_free(&out);
	return 0;
}

static void
test_members(void **state)
{
	(void)state;
	json_open(&out, NULL, '{');
	json_open(&out, "a", '[');
	json_close(&out, ']');
	json_open(&out, "b", '[');
	json_u64(&out, NULL, 1);
	json_u64(&out, NULL, 2);
	json_open(&out, NULL, '{');
	json_close(&out, '}');
	json_close(&out, ']');
	json_bool(&out, "c", true);
	json_bool(&out, "d", false);
	json_null(&out, "e");
	json_text(&out, "f", NULL);
	json_text(&out, "g", "");
	json_close(&out, '}');
	assert_string_equal(buf_cstr(&out),
	    "{\"a\":[],\"b\":[1,2,{}],\"c\":true,\"d\":false,\"e\":null,"
	    "\"f\":null,\"g\":\"\"}");
}

static void
test_numbers(void **state)
{
	(void)state;
	json_u64(&out, NULL, UINT64_C(1) << 53);
	json_u64(&out, NULL, (UINT64_C(1) << 53) + 1);
	json_u64(&out, NULL, UINT64_MAX);
	json_lsn(&out, NULL, 0);
	json_lsn(&out, NULL, UINT64_C(0x16B374D848));
	json_seconds(&out, NULL, -1);
	json_seconds(&out, NULL, 0);
	json_seconds(&out, NULL, 1999);
	json_seconds(&out, NULL, INT64_MAX);
	assert_string_equal(buf_cstr(&out),
	    "9007199254740992,\"9007199254740993\",\"18446744073709551615\","
	    "null,\"16/B374D848\",null,0.000,0.001,9223372036854.775");
}

static void
test_texts(void **state)
{
	(void)state;
	json_text(&out, NULL, "<img src=x onerror=\"x\">\n\\\x01");
	json_text(&out, NULL, "\xc3\xa4");
	json_text(&out, NULL,
	    "\xff"
	    "a\"\xc3");
	json_text(&out, NULL, "\xed\xa0\x80\xc3\xa4");
	assert_string_equal(buf_cstr(&out),
	    "\"<img src=x onerror=\\\"x\\\">\\n\\\\\\u0001\",\"\xc3\xa4\","
	    "\"\xef\xbf\xbd"
	    "a\\\"\xef\xbf\xbd\","
	    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xc3\xa4\"");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_members),
		TEST(test_numbers),
		TEST(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
