/* balance.h - as many tokens for each expert: the assignment of BASE layers, by auction.
 *
 * Expert e gets share(e) tokens: T/e, and one more for the first T%e experts. An auction raises the
 * price of tokens that several experts want until each has its share. With bids that exceed what is
 * needed by epsilon, the sum of logits ends within T*epsilon of the largest that any such
 * assignment has (Bertsekas 1988; for experts that want several tokens: Bertsekas and Castanon
 * 1989). */
#ifndef MOE_BALANCE_H
#define MOE_BALANCE_H

#include "core/layer.h"

/* Rounds that a kernel takes, as fairseq's. The tokens that nobody has by then, a few of a hundred
 * or none, go to whoever bids most for them, and no other is bid for again. */
enum { MOE_BALANCE_ROUNDS = 100 };

typedef struct moe_balance {
    int64_t rounds; /* that were taken in all, */
    bool finished;  /* and whether the auction ended by itself: then its bound is proven */
    double total;   /* sum of the tokens' logits at their experts */
} moe_balance;

/* Tokens that an expert gets. */
int64_t moe_balance_share(int64_t tokens, int64_t experts, int64_t expert);

/* The epsilon of a kernel for these logits [T,e]: a fiftieth of their range, 1e-4 at least. Logits
 * that are not finite do not count. */
double moe_balance_epsilon(const moe_layer *layer, int64_t tokens, const double *logits);

/* The experts [T] of all tokens by an auction with this epsilon and so many rounds. Logits that are
 * not finite count as the smallest that is. MOE_E_MEMORY. */
moe_status moe_balance_assign(const moe_layer *layer, int64_t tokens, const double *logits,
                              double epsilon, int64_t rounds, int *experts, moe_balance *out);

/* The sum of logits that an assignment [T] has. */
double moe_balance_total(const moe_layer *layer, int64_t tokens, const double *logits,
                         const int *experts);

#endif
