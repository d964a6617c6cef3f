# sources.cmake - what the tuner is given at build time: the database's schema and the commit.
set(schema ${CMAKE_SOURCE_DIR}/tuning_db/schema.sql)
set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${schema})
file(READ ${schema} text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n\"" text "${text}")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/tuner/schema.inc CONTENT "\"${text}\"\n" @ONLY)

find_package(Git QUIET)
set(commit unknown)
if(GIT_FOUND)
    execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --short=12 HEAD
        WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE head
        OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(head)
        set(commit ${head})
    endif()
endif()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/tuner/commit.inc CONTENT "\"${commit}\"\n" @ONLY)
target_include_directories(moe_tuner PRIVATE ${CMAKE_BINARY_DIR}/tuner)
