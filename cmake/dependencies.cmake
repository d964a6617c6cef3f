# dependencies.cmake - what is linked (statically where the system has the archive) and the CUDA
# headers. scripts/setup.sh installs all of it.
if(MOETUNE_PORTABLE)
    execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=libgomp.a
        OUTPUT_VARIABLE gomp OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT IS_ABSOLUTE "${gomp}")
        message(FATAL_ERROR "the compiler has no libgomp.a, which a portable build links")
    endif()
    set(OpenMP_gomp_LIBRARY ${gomp} CACHE FILEPATH "OpenMP's runtime")
    add_link_options(-static-libgcc)
endif()
find_package(OpenMP REQUIRED)
find_package(Threads REQUIRED)

function(moetune_library name header)
    find_path(${name}_INCLUDE ${header} PATH_SUFFIXES lua5.4)
    find_library(${name}_LIBRARY NAMES lib${name}.a ${name})
    if(NOT ${name}_INCLUDE OR NOT ${name}_LIBRARY)
        message(FATAL_ERROR "${name} (${header}) is missing; run: bash scripts/setup.sh")
    endif()
    add_library(dep_${name} INTERFACE)
    target_include_directories(dep_${name} SYSTEM INTERFACE ${${name}_INCLUDE})
    target_link_libraries(dep_${name} INTERFACE ${${name}_LIBRARY})
endfunction()

moetune_library(lua5.4 lua.h)
moetune_library(sqlite3 sqlite3.h)
moetune_library(jansson jansson.h)
moetune_library(xxhash xxhash.h)
target_link_libraries(dep_sqlite3 INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)

find_path(CUDA_INCLUDE cuda.h
    HINTS $ENV{MOETUNE_CUDA} $ENV{CUDA_HOME} /usr/local/cuda ${CMAKE_SOURCE_DIR}/.deps/nvidia/cu13
        ${CMAKE_SOURCE_DIR}/.deps/nvidia/cu12
    PATH_SUFFIXES include)
find_path(CUPTI_INCLUDE cupti.h
    HINTS ${CUDA_INCLUDE} $ENV{CUDA_HOME}/extras/CUPTI/include /usr/local/cuda/extras/CUPTI/include)
if(NOT CUDA_INCLUDE OR NOT CUPTI_INCLUDE)
    message(FATAL_ERROR
        "NVIDIA's headers (cuda.h, cupti.h) are missing; run: bash scripts/setup.sh")
endif()
add_library(dep_cuda INTERFACE)
target_include_directories(dep_cuda SYSTEM INTERFACE ${CUDA_INCLUDE} ${CUPTI_INCLUDE})
