# tests.cmake - fake vendor libraries for the test of the meter, and the program for those that run
# it.
foreach(fake libcupti.so.13 libnvidia-ml.so.1)
    string(REGEX REPLACE "\\.so.*" "" stem ${fake})
    string(REGEX REPLACE ".*(\\.so.*)" "\\1" suffix ${fake})
    add_library(fake_${stem} MODULE ${CMAKE_CURRENT_LIST_DIR}/fake/${stem}.c)
    target_link_libraries(fake_${stem} PRIVATE Threads::Threads)
    target_compile_options(fake_${stem} PRIVATE -Wno-missing-prototypes)
    set_target_properties(fake_${stem} PROPERTIES C_VISIBILITY_PRESET default PREFIX ""
        OUTPUT_NAME ${stem} SUFFIX ${suffix}
        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fake/tuner)
endforeach()
if(TARGET test_tuner_meter)
    add_dependencies(test_tuner_meter fake_libcupti fake_libnvidia-ml)
    set_property(TEST test_tuner_meter APPEND PROPERTY
        ENVIRONMENT "FAKE_VENDOR=${CMAKE_BINARY_DIR}/fake/tuner")
endif()
foreach(test commands cmd_db cmd_tune)
    if(TARGET test_tuner_${test} AND TARGET moetune)
        add_dependencies(test_tuner_${test} moetune)
    endif()
endforeach()
if(TARGET test_tuner_judge_memory)
    target_link_options(test_tuner_judge_memory PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc)
endif()
