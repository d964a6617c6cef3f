# tests.cmake - a fake CUPTI for the test of the meter, and the program for those that run it.
add_library(fake_libcupti MODULE ${CMAKE_CURRENT_LIST_DIR}/fake/libcupti.c)
target_link_libraries(fake_libcupti PRIVATE Threads::Threads)
target_compile_options(fake_libcupti PRIVATE -Wno-missing-prototypes)
set_target_properties(fake_libcupti PROPERTIES C_VISIBILITY_PRESET default PREFIX ""
    OUTPUT_NAME libcupti SUFFIX .so.13 LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fake/cupti)
if(TARGET test_tuner_meter)
    add_dependencies(test_tuner_meter fake_libcupti)
    set_property(TEST test_tuner_meter APPEND PROPERTY
        ENVIRONMENT "FAKE_CUPTI=${CMAKE_BINARY_DIR}/fake/cupti")
endif()
if(TARGET test_tuner_commands AND TARGET moetune)
    add_dependencies(test_tuner_commands moetune)
endif()
