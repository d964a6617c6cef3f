# tests.cmake - fake drivers: a whole one, one that is too old, and a file that is no library.
foreach(kind new old)
    add_library(fake_libcuda_${kind} MODULE ${CMAKE_CURRENT_LIST_DIR}/fake/libcuda.c)
    target_include_directories(fake_libcuda_${kind} PRIVATE ${CMAKE_CURRENT_LIST_DIR}/fake)
    target_link_libraries(fake_libcuda_${kind} PRIVATE dep_cuda)
    set_target_properties(fake_libcuda_${kind} PROPERTIES C_VISIBILITY_PRESET default PREFIX ""
        OUTPUT_NAME libcuda SUFFIX .so.1
        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fake/${kind}/lib64)
endforeach()
target_compile_definitions(fake_libcuda_old PRIVATE FAKE_OLD)
file(WRITE ${CMAKE_BINARY_DIR}/fake/broken/libcuda.so.1 "not a library\n")
if(TARGET test_runtime_device_cuda AND TARGET test_runtime_library)
set_property(TEST test_runtime_device_cuda test_runtime_library APPEND PROPERTY
    ENVIRONMENT "FAKE_DRIVERS=${CMAKE_BINARY_DIR}/fake")
add_dependencies(test_runtime_device_cuda fake_libcuda_new fake_libcuda_old)
add_dependencies(test_runtime_library fake_libcuda_new fake_libcuda_old)
endif()
if(TARGET test_runtime_memory)
    target_link_options(test_runtime_memory PRIVATE
        -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=aligned_alloc)
endif()
foreach(test symbols install)
    if(TARGET test_runtime_${test})
        add_dependencies(test_runtime_${test} moetune_shared moetune_static)
        set_property(TEST test_runtime_${test} APPEND PROPERTY ENVIRONMENT
            "MOETUNE_LIBRARY=$<TARGET_FILE:moetune_shared>" "MOETUNE_BUILD=${CMAKE_BINARY_DIR}"
            "MOETUNE_SANITIZE=${MOETUNE_SANITIZE}")
    endif()
endforeach()
