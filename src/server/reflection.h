#ifndef SERVER_REFLECTION_H
#define SERVER_REFLECTION_H

#include "grpc/h2.h"

/*
 * grpc.reflection: what can be called here, and with which messages. A stream's
 * requests are answered in their order, one at a time as the client takes the
 * answers; who is ahead of them by a window's bytes has to wait. All streams
 * together hold so much; what comes then ends its stream.
 *
 * (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md)
 */

/* Serves REFLECTION_V1 and REFLECTION_V1ALPHA, which have the same messages;
 * like session_handler, on a struct session_list. */
extern const struct h2_handler reflection_handler;

#endif
