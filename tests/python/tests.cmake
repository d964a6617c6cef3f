# tests.cmake - the Python package and what is built on it. A program without the sanitizers cannot
# load a library with them, so the sanitizer build leaves these out.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND AND NOT MOETUNE_SANITIZE AND TARGET moetune)
    add_test(NAME test_python COMMAND ${Python3_EXECUTABLE} -m unittest discover -s python/tests
        WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(test_python PROPERTIES LABELS unit TIMEOUT 300
        ENVIRONMENT "MOETUNE_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
endif()
