# sources.cmake - instruction handlers are compiled once for each instruction set of the host;
# simd.c picks at run time, so the build does not depend on the machine that builds. Contraction is
# off: an fma happens where PTX says fma, nowhere else. Other compilers than GCC, which only fuzz
# and check, cannot all ask what the host has.
#
# Handlers are the longest part of a build: only the copy that hosts of today run is made fast, and
# under the sanitizers none is. Nobody looks at their locals, which macros make.
file(GLOB handlers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sim/exec/exec_*.c)
set(fast -O3)
if(MOETUNE_SANITIZE)
    set(fast -O1)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_library(moe_sim_avx2 OBJECT ${handlers})
    target_include_directories(moe_sim_avx2 PRIVATE ${CMAKE_SOURCE_DIR}/sim
        $<TARGET_PROPERTY:moe_sim,INTERFACE_INCLUDE_DIRECTORIES>)
    target_compile_options(moe_sim_avx2 PRIVATE ${moetune_strict} -mavx2 -mfma -mf16c
        -mbmi -mpopcnt -mlzcnt)
    target_compile_definitions(moe_sim_avx2 PRIVATE SIM_ISA=avx2)
    target_compile_definitions(moe_sim PRIVATE SIM_HAVE_AVX2)
    target_sources(moe_sim PRIVATE $<TARGET_OBJECTS:moe_sim_avx2>)
    set(fast $<IF:$<STREQUAL:$<TARGET_PROPERTY:NAME>,moe_sim_avx2>,${fast},-O1>)
endif()
set_property(SOURCE ${handlers} PROPERTY COMPILE_OPTIONS ${fast} -g1 -fno-math-errno
    -fno-trapping-math -fno-strict-aliasing -Wno-psabi -ffp-contract=off)
