# tests.cmake - the Python package and what is built on it. A program without the sanitizers cannot
# load a library with them, so the sanitizer build leaves these out. The slices of scripts/gpu.sh
# tune and measure whole layers, and are a test of their own.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND AND NOT MOETUNE_SANITIZE AND TARGET moetune)
    foreach(part package:python:test_*.py headline:bench/headline:test_*.py
            slices:bench/headline:slices.py)
        string(REGEX MATCH "^(.*):(.*):(.*)$" match ${part})
        set(test test_python_${CMAKE_MATCH_1})
        add_test(NAME ${test}
            COMMAND ${Python3_EXECUTABLE} -m unittest discover -s ${CMAKE_MATCH_2}/tests
                -p ${CMAKE_MATCH_3}
            WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
        set_tests_properties(${test} PROPERTIES LABELS sim TIMEOUT 300 ENVIRONMENT
            "MOETUNE_BUILD=${CMAKE_BINARY_DIR};MOETUNE_LIBRARY=$<TARGET_FILE:moetune_shared>")
        set_property(TEST ${test} APPEND PROPERTY ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)
    endforeach()
endif()
