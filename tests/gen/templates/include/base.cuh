// base.cuh
struct bits {
    unsigned short value; // $(p.x)
};
