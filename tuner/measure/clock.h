/* clock.h - how fast a GPU runs at the moment. Clocks are not locked, so each record says. */
#ifndef MOE_CLOCK_H
#define MOE_CLOCK_H

#include <stdint.h>

/* The SM clock in MHz; 0 where it is not known: no management library, or several GPUs, which it
 * numbers in an order of its own. */
int64_t moe_clock_mhz(void);

#endif
