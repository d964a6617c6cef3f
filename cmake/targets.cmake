# targets.cmake - one static library a folder, linked the way DESIGN's table allows.
add_compile_options(-Wall -Wextra -Wshadow -Wundef -Wwrite-strings -Wmissing-prototypes
    -Wstrict-prototypes -Werror=implicit-function-declaration)
set(moetune_strict -Wconversion)
if(MOETUNE_SANITIZE)
    add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer
        -fno-sanitize-recover=undefined)
    add_link_options(-fsanitize=address,undefined)
endif()
if(MOETUNE_FUZZ)
    # GCC's warnings are the ones that count.
    add_compile_options(-fsanitize=fuzzer-no-link -w)
endif()

# moetune_folder(NAME LIBRARIES...): moe_NAME from the .c files of NAME and of its rooms. An include
# names the room: "core/layer.h".
function(moetune_folder name)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.c)
    list(FILTER sources EXCLUDE REGEX "/(command/main|gpu/built_in)\\.c$")
    add_library(moe_${name} STATIC ${sources})
    target_include_directories(moe_${name} PUBLIC ${CMAKE_SOURCE_DIR}/${name})
    target_compile_options(moe_${name} PRIVATE ${moetune_strict})
    target_link_libraries(moe_${name} PUBLIC ${ARGN})
    if(EXISTS ${CMAKE_SOURCE_DIR}/${name}/sources.cmake)
        include(${CMAKE_SOURCE_DIR}/${name}/sources.cmake)
    endif()
endfunction()

add_library(moe_public INTERFACE)
target_include_directories(moe_public INTERFACE ${CMAKE_SOURCE_DIR}/include)

moetune_folder(runtime moe_public dep_sqlite3 dep_cuda Threads::Threads ${CMAKE_DL_LIBS} m)
moetune_folder(sim moe_runtime Threads::Threads m)
moetune_folder(gen moe_runtime dep_lua5.4 dep_xxhash m)
moetune_folder(reference moe_runtime OpenMP::OpenMP_C m)
moetune_folder(tuner moe_gen moe_reference moe_sim dep_jansson dep_xxhash)

# Programs of the tuner hold the simulated GPU themselves; libmoetune opens libmoetune_sim.
add_library(moe_built_in OBJECT sim/gpu/built_in.c)
target_link_libraries(moe_built_in PRIVATE moe_sim)
target_sources(moe_tuner INTERFACE
    $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:$<TARGET_OBJECTS:moe_built_in>>)

add_executable(moetune tuner/command/main.c)
target_link_libraries(moetune PRIVATE moe_tuner)
set_target_properties(moetune PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

include(install)
if(MOETUNE_TESTS)
    include(tests)
endif()
if(MOETUNE_FUZZ)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/target*.c)
    add_executable(fuzz ${CMAKE_SOURCE_DIR}/tests/fuzz/driver/fuzz.c ${sources})
    target_include_directories(fuzz PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz)
    target_link_libraries(fuzz PRIVATE moe_tuner)
    target_link_options(fuzz PRIVATE -fsanitize=fuzzer)
endif()
if(MOETUNE_BENCH)
    file(GLOB benches CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.c)
    foreach(bench ${benches})
        get_filename_component(stem ${bench} NAME_WE)
        add_executable(bench_${stem} ${bench})
        target_link_libraries(bench_${stem} PRIVATE moe_tuner)
    endforeach()
endif()
