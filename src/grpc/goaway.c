#include "grpc/goaway.h"

#include <string.h>

#define FRAME 9 /* length 3, type 1, flags 1, stream 4 */
#define TYPE_SETTINGS 4
#define TYPE_GOAWAY 7
#define FIXED 8 /* last stream 4, error code 4 */

size_t
goaway_put(uint8_t to[GOAWAY_MAX], uint32_t code, const char *why)
{
	size_t room = GOAWAY_MAX - 2 * FRAME - FIXED, n = strlen(why);
	uint8_t *p = to + FRAME;

	if (n > room)
		n = room;
	memset(to, 0, GOAWAY_MAX);
	to[3] = TYPE_SETTINGS;
	p[2] = (uint8_t)(FIXED + n);
	p[3] = TYPE_GOAWAY;
	p[FRAME + 4] = (uint8_t)(code >> 24);
	p[FRAME + 5] = (uint8_t)(code >> 16);
	p[FRAME + 6] = (uint8_t)(code >> 8);
	p[FRAME + 7] = (uint8_t)code;
	memcpy(p + FRAME + FIXED, why, n);
	return FRAME + FRAME + FIXED + n;
}
