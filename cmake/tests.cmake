# tests.cmake - tests/<folder>/test_*.c become CTest tests; the first line names their label. The
# folder's other .c files help them, and are compiled once. Threads that wait for work sleep, since
# tests run side by side.
enable_testing()
find_library(CMOCKA_LIBRARY NAMES libcmocka-static.a cmocka)
find_path(CMOCKA_INCLUDE cmocka.h)
if(NOT CMOCKA_LIBRARY OR NOT CMOCKA_INCLUDE)
    message(FATAL_ERROR "cmocka is missing; run: bash scripts/setup.sh")
endif()

# More than a hundred programs are linked: by the fastest linker that the compiler knows.
include(CheckLinkerFlag)
foreach(linker gold lld)
    check_linker_flag(C -fuse-ld=${linker} MOETUNE_HAS_${linker})
    if(MOETUNE_HAS_${linker})
        set(link_fast -fuse-ld=${linker})
    endif()
endforeach()

# moetune_helpers(NAME FOLDER): what the tests of a folder link: its helpers, if any, and the rest.
function(moetune_helpers name folder)
    file(GLOB helpers CONFIGURE_DEPENDS ${folder}/*.c)
    list(FILTER helpers EXCLUDE REGEX "/test_[^/]*$")
    if(helpers)
        add_library(${name} STATIC ${helpers})
        set(scope PUBLIC)
    else()
        add_library(${name} INTERFACE)
        set(scope INTERFACE)
    endif()
    target_include_directories(${name} ${scope} ${folder} ${CMOCKA_INCLUDE})
    target_link_libraries(${name} ${scope} moe_tuner ${CMOCKA_LIBRARY})
endfunction()

# moetune_register(NAME TEST LABEL SECONDS [VARIABLES...]): a run of a program.
function(moetune_register name test label seconds)
    add_test(NAME ${name} COMMAND ${test} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT ${seconds}
        SKIP_RETURN_CODE 77 ENVIRONMENT
        "MOETUNE_BINARY=${CMAKE_BINARY_DIR}/moetune;OMP_WAIT_POLICY=passive;${ARGN}")
endfunction()

# moetune_test(NAME SOURCE HELPERS). What MOE_SWEEP widens also runs wide, under the label slow.
function(moetune_test test source helpers)
    file(STRINGS ${source} label LIMIT_COUNT 1 REGEX "label: [a-z]+")
    string(REGEX REPLACE ".*label: ([a-z]+).*" "\\1" label "${label}")
    if(NOT label MATCHES "^(unit|golden|compile|sim|gpu)$")
        message(FATAL_ERROR
            "${source}: the first line should say label: unit, golden, compile, sim or gpu")
    endif()
    add_executable(${test} ${source})
    # Optimising what runs once takes longer than running it; what tests call is optimised.
    target_compile_options(${test} PRIVATE -O0)
    target_link_libraries(${test} PRIVATE ${helpers})
    target_link_options(${test} PRIVATE ${link_fast})
    # The sanitizers watch the host's code; what runs kernels is built there on request alone.
    if(MOETUNE_SANITIZE AND NOT label MATCHES "^(unit|golden)$")
        set_target_properties(${test} PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
    moetune_register(${test} ${test} ${label} 300)
    file(STRINGS ${source} wide LIMIT_COUNT 1 REGEX "MOE_SWEEP=N")
    if(wide)
        moetune_register(${test}_wide ${test} slow 1800 MOE_SWEEP=24)
    endif()
endfunction()

file(GLOB folders CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/*)
foreach(folder ${folders})
    get_filename_component(part ${folder} NAME)
    file(GLOB sources CONFIGURE_DEPENDS ${folder}/test_*.c)
    if(sources)
        moetune_helpers(tests_${part} ${folder})
    endif()
    foreach(source ${sources})
        get_filename_component(stem ${source} NAME_WE)
        string(REPLACE "test_" "test_${part}_" test ${stem})
        moetune_test(${test} ${source} tests_${part})
    endforeach()
    include(${folder}/tests.cmake OPTIONAL)
endforeach()
