#ifndef SERVER_STATUS_PAGE_H
#define SERVER_STATUS_PAGE_H

#include <stddef.h>
#include <stdint.h>

/* status.html, for status_json to be looked at; made by status_page.py. */
extern const uint8_t status_page[];
extern const size_t status_page_len;

#endif
