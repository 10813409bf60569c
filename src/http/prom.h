#ifndef HTTP_PROM_H
#define HTTP_PROM_H

#include <stdint.h>

#include "base/buf.h"

/*
 * The text format of Prometheus, 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats): a metric is
 * its head and then its samples.
 */
#define PROM_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* type: "counter", "gauge" or "histogram". help: without line ends. */
void
prom_head(struct buf *to, const char *name, const char *type, const char *help);

void prom_u64(struct buf *to, const char *name, uint64_t value);
void prom_double(struct buf *to, const char *name, double value);
/* With one label; its value may be any text that is UTF-8. */
void prom_label_u64(struct buf *to, const char *name, const char *label,
    const char *text, uint64_t value);

/* A metric of one sample without labels. */
void prom_counter(struct buf *to, const char *name, const char *help,
    uint64_t value);
void
prom_gauge(struct buf *to, const char *name, const char *help, uint64_t value);
void prom_gauge_double(struct buf *to, const char *name, const char *help,
    double value);

#endif
