#include "pg/sslmode.h"

#include <stdio.h>
#include <string.h>

void
sslmode_begin(struct sslmode *s, const struct conninfo *ci, bool unix_socket)
{
	/* A Unix socket is never encrypted, whatever sslmode says. */
	s->mode = unix_socket ? SSLMODE_DISABLE : ci->value[CI_SSLMODE];
	s->direct = ci->value[CI_SSLNEGOTIATION] == SSLNEGOTIATION_DIRECT;
	s->tls = s->mode >= SSLMODE_PREFER;
	s->second = false;
}

int
sslmode_answer(struct sslmode *s, uint8_t answer, struct err *err)
{
	switch (answer) {
	case 'S':
		return 1;
	case 'N':
		if (s->mode == SSLMODE_PREFER) {
			s->tls = false;
			s->second = true; /* there is no other way */
			s->first.kind = ERR_NONE;
			return 0;
		}
		if (s->mode == SSLMODE_ALLOW) { /* so the first way was it */
			*err = s->first;
			s->first.kind = ERR_NONE;
			return -1;
		}
		return err_set(err, ERR_AUTH,
		    "the server does not support TLS, and sslmode asks for it");
	case 'E':
		/* Whoever wrote the text is not known to be the server
		 * (CVE-2024-10977). */
		return err_set(err, ERR_IO,
		    "the server answered SSLRequest with an error");
	default:
		return err_set(err, ERR_PROTO,
		    "the server answered SSLRequest with 0x%02x: it does not "
		    "speak PostgreSQL's protocol",
		    answer);
	}
}

bool
sslmode_other(struct sslmode *s, bool in_handshake, struct err *err)
{
	char both[sizeof(err->text)];
	/* Where the server takes no connections now, TLS is not the reason. */
	bool refused = err->kind == ERR_SERVER &&
	    strcmp(err->sqlstate, "57P03") != 0 &&
	    strcmp(err->sqlstate, "53300") != 0;

	if (!s->second &&
	    ((s->mode == SSLMODE_ALLOW && refused) ||
		(s->mode == SSLMODE_PREFER && (refused || in_handshake)))) {
		s->first = *err;
		s->second = true;
		s->tls = !s->tls;
		return true;
	}
	if (!s->second || s->first.kind == ERR_NONE ||
	    strcmp(s->first.text, err->text) == 0)
		return false;
	snprintf(both, sizeof(both), "%.500s; %s TLS: %.480s", s->first.text,
	    s->tls ? "with" : "without", err->text);
	memcpy(err->text, both, sizeof(both));
	return false;
}
