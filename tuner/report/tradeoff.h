/* tradeoff.h - what each capacity factor costs and drops, side by side. Capacity is part of what a
 * layer means, so it is never chosen for anybody: this is to choose by. */
#ifndef MOE_TRADEOFF_H
#define MOE_TRADEOFF_H

#include "report/waste.h"

#include <stdio.h>

typedef struct moe_tradeoff {
    char capacity[64], traffic[MOE_TRAFFIC_TEXT_SIZE]; /* texts */
    int64_t tokens, rows; /* rows that an expert keeps at most */
    double ns;            /* of all behind the router; 0: not known */
    moe_waste waste;
} moe_tradeoff;

/* Prints rows [n] as a table; `time_head` names the column of times. */
void moe_tradeoff_print(const moe_tradeoff *rows, int64_t n, const char *time_head, FILE *to);

/* Writes an SVG chart: for each traffic and token count times as bars, and the shares of dropped
 * slots, dropped weight and padding beside them. MOE_E_IO. */
moe_status moe_tradeoff_chart(const moe_tradeoff *rows, int64_t n, const char *title,
                              const char *time_head, const char *path);

#endif
