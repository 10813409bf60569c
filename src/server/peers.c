#include "server/peers.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KEY ADDR_NETWORK

struct peer {
	uint8_t key[KEY];
	unsigned count;
	struct peer *next;
};

/* Where it is, or would be. There are never more of them than connections. */
static struct peer **
find(struct peers *p, const uint8_t key[KEY])
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	struct peer **at;

	for (int i = 0; i < KEY; i++)
		hash = (hash ^ key[i]) * 16777619u;
	at = &p->bucket[hash % PEERS_BUCKETS];
	while (*at != NULL && memcmp((*at)->key, key, KEY) != 0)
		at = &(*at)->next;
	return at;
}

int
peers_add(struct peers *p, const struct addr *a, unsigned most)
{
	uint8_t key[KEY];
	struct peer **at, *one;

	if (addr_is_unix(a))
		return 0;
	addr_network(a, key);
	at = find(p, key);
	if (*at == NULL) {
		if ((one = calloc(1, sizeof(*one))) == NULL)
			return -2;
		memcpy(one->key, key, KEY);
		*at = one;
	}
	if (most > 0 && (*at)->count >= most)
		return -1;
	(*at)->count++;
	return 0;
}

void
peers_remove(struct peers *p, const struct addr *a)
{
	uint8_t key[KEY];
	struct peer **at, *one;

	if (addr_is_unix(a))
		return;
	addr_network(a, key);
	at = find(p, key);
	if ((one = *at) == NULL || --one->count > 0)
		return;
	*at = one->next;
	free(one);
}

void
peers_free(struct peers *p)
{
	struct peer *one;

	for (size_t i = 0; i < PEERS_BUCKETS; i++)
		while ((one = p->bucket[i]) != NULL) {
			p->bucket[i] = one->next;
			free(one);
		}
}
