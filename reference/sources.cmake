# sources.cmake - pipeline.cu becomes a string constant of cublas_pipeline.c.
set(cuda_text ${CMAKE_SOURCE_DIR}/reference/pipeline.cu)
set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${cuda_text})
file(READ ${cuda_text} text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n\"" text "${text}")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/reference/pipeline.inc CONTENT "\"${text}\"\n" @ONLY)
target_include_directories(moe_reference PRIVATE ${CMAKE_BINARY_DIR}/reference)
