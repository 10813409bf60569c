#include "fuzz.h"
#include "http/http.h"

/*
 * A request is taken whole or not at all: the same bytes with more behind them
 * mean the same, and with less they are refused, or not whole. What is refused
 * stays refused.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request r, again;
	size_t used = 0, used_again = 0;
	int status = http_read(data, size, &r, &used), shorter;

	assert(status == 0 || http_status(http_kind(status)) == status);
	assert(status != 0 || size < HTTP_MAX_HEAD);
	if (status == 200) {
		assert(used > 0 && used <= size && used <= HTTP_MAX_HEAD);
		assert(r.path[0] == '/' && strlen(r.path) <= HTTP_MAX_PATH);
		assert(http_read(data, used, &again, &used_again) == 200);
		assert(used_again == used);
		assert(memcmp(&r, &again, sizeof(r)) == 0);
		assert(http_read(data, used - 1, &again, &used_again) == 0);
	} else if (size > 0) {
		shorter = http_read(data, size - 1, &again, &used_again);
		/* One byte fewer may not be enough to tell; never is it
		 * something else, but at the very end of what is read. */
		assert(shorter == 0 || shorter == status);
	}
	return 0;
}
