/* device_library.h - a device class that lies in a library of its own: libmoetune_sim, the
 * simulated GPU. A process that runs on a GPU never has it in memory. */
#ifndef MOE_DEVICE_LIBRARY_H
#define MOE_DEVICE_LIBRARY_H

#include "device/device.h"

/* Grows with every change of device.h, or of a struct that it hands over. */
enum { MOE_DEVICE_INTERFACE = 1 };

/* What the library's one function returns. The fields up to `sizes` stay where they are, so that
 * any two versions can tell that they do not fit. */
typedef struct moe_device_library {
    int interface;       /* MOE_DEVICE_INTERFACE, */
    const char *version; /* and MOE_VERSION, when it was built */
    size_t sizes[3];     /* of moe_device_class, moe_facts, moe_image */
    const moe_device_class *class;
} moe_device_library;

#define MOE_DEVICE_SIZES                                                                           \
    { sizeof(moe_device_class), sizeof(moe_facts), sizeof(moe_image) }

/* Its failures leave their text where the caller's own do. */
typedef const moe_device_library *moe_device_entry(moe_message_place *place);
#define MOE_DEVICE_ENTRY "moetune_sim"

/* Stands for the class until it is asked for: has a prefix and a help line, and no `open`. */
extern const moe_device_class moe_device_elsewhere;
#define MOE_DEVICE_SIM_PREFIX "sim"
#define MOE_DEVICE_SIM_HELP                                                                        \
    "a simulated GPU that checks what it runs: sim:CHIP[,seed=N][,threads=N][,checks=0|1]"

/* Opens libmoetune_sim from the folder of the library or program that this function is in, else
 * from the loader's path; it stays open. MOE_E_LIBRARY tells where it was looked for, or that it is
 * of another version. */
moe_status moe_device_library_open(const moe_device_class **out);

#endif
