# tests.cmake - who calls whom is asked of the build's object files.
if(TARGET test_house_circles)
    set_property(TEST test_house_circles APPEND PROPERTY ENVIRONMENT
        "MOETUNE_BUILD=${CMAKE_BINARY_DIR}")
endif()
