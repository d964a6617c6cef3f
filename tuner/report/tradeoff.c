/* tradeoff.c - what each capacity factor costs and drops, as a table. */
#include "report/tradeoff.h"

#include "text/columns.h"

#include <string.h>

/* The time without a limit for the same tokens, or 0. */
static double unlimited(const moe_tradeoff *rows, int64_t n, const moe_tradeoff *of) {
    for (int64_t i = 0; i < n; i++)
        if (!strcmp(rows[i].capacity, "none") && rows[i].tokens == of->tokens &&
            !strcmp(rows[i].traffic, of->traffic))
            return rows[i].ns;
    return 0;
}

void moe_tradeoff_print(const moe_tradeoff *rows, int64_t n, const char *time_head, FILE *to) {
    char head[256];
    snprintf(head, sizeof head,
             ">t\trouting\tcapacity\t>rows/expert\t>%s\t>vs none\t>dropped rows\t>lost tokens"
             "\t>dropped weight\t>padding",
             time_head);
    moe_columns *table = moe_columns_new(head);
    for (int64_t i = 0; i < n; i++) {
        const moe_tradeoff *r = &rows[i];
        char versus[32] = "-", time[32] = "-";
        double none = unlimited(rows, n, r);
        if (r->ns > 0) snprintf(time, sizeof time, "%.2f", r->ns * 1e-3);
        if (r->ns > 0 && none > 0) snprintf(versus, sizeof versus, "%.2fx", none / r->ns);
        moe_columns_add(table, "%lld\t%s\t%s\t%lld\t%s\t%s\t%.2f%%\t%.2f%%\t%.2f%%\t%.1f%%",
                        (long long)r->tokens, r->traffic, r->capacity, (long long)r->rows, time,
                        versus, 100 * r->waste.dropped, 100 * r->waste.lost,
                        100 * r->waste.weight, 100 * r->waste.padding);
    }
    moe_columns_print(table, to);
}
