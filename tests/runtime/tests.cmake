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
# A program with nothing in it but libmoetune, and simulators that do not fit it.
add_executable(open_device ${CMAKE_CURRENT_LIST_DIR}/fake/open_device.c)
target_link_libraries(open_device PRIVATE moe_public ${CMAKE_DL_LIBS})
set(fake_sims "")
foreach(kind newer larger)
    string(TOUPPER ${kind} upper)
    add_library(fake_sim_${kind} MODULE ${CMAKE_CURRENT_LIST_DIR}/fake/libmoetune_sim.c)
    target_link_libraries(fake_sim_${kind} PRIVATE moe_runtime)
    target_compile_definitions(fake_sim_${kind} PRIVATE FAKE_NEWER=$<STREQUAL:${kind},newer>
        FAKE_LARGER=$<STREQUAL:${kind},larger>)
    list(APPEND fake_sims "FAKE_SIM_${upper}=$<TARGET_FILE:fake_sim_${kind}>")
endforeach()
foreach(test symbols install sim_library)
    if(TARGET test_runtime_${test})
        add_dependencies(test_runtime_${test} moetune_shared moetune_static open_device
            fake_sim_newer fake_sim_larger)
        set_property(TEST test_runtime_${test} APPEND PROPERTY ENVIRONMENT
            "MOETUNE_LIBRARY=$<TARGET_FILE:moetune_shared>" "MOETUNE_BUILD=${CMAKE_BINARY_DIR}"
            "MOETUNE_SIM_LIBRARY=$<TARGET_FILE:moetune_sim>"
            "OPEN_DEVICE=$<TARGET_FILE:open_device>" ${fake_sims}
            "MOETUNE_SANITIZE=${MOETUNE_SANITIZE}")
    endif()
endforeach()
