# install.cmake - libmoetune (runtime and simulated GPU), its header, and the package files.
#   cmake --install build --component library     the library alone
#   cmake --install build                         and the moetune command with its templates
include(CMakePackageConfigHelpers)

set(objects $<TARGET_OBJECTS:moe_runtime> $<TARGET_OBJECTS:moe_sim>)
if(TARGET moe_sim_avx2)
    list(APPEND objects $<TARGET_OBJECTS:moe_sim_avx2>)
endif()

add_library(moetune_shared SHARED ${objects})
target_link_libraries(moetune_shared PRIVATE dep_sqlite3 OpenMP::OpenMP_C Threads::Threads
    ${CMAKE_DL_LIBS} m)
# Only what moetune.h declares is seen from outside; not SQLite, which the process may have too.
target_link_options(moetune_shared PRIVATE -Wl,--exclude-libs,ALL -Wl,--no-undefined)

add_library(moetune_static STATIC ${objects})
target_link_libraries(moetune_static INTERFACE sqlite3 gomp pthread ${CMAKE_DL_LIBS} m)

foreach(kind shared static)
    set_target_properties(moetune_${kind} PROPERTIES OUTPUT_NAME moetune EXPORT_NAME ${kind}
        LINKER_LANGUAGE C)
    target_include_directories(moetune_${kind} INTERFACE
        $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
set_target_properties(moetune_shared PROPERTIES VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/moetune)
install(TARGETS moetune_shared moetune_static EXPORT moetune COMPONENT library
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(FILES ${CMAKE_SOURCE_DIR}/include/moetune.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    COMPONENT library)
install(EXPORT moetune NAMESPACE moetune:: FILE moetune-targets.cmake DESTINATION ${package}
    COMPONENT library)
file(WRITE ${CMAKE_BINARY_DIR}/moetune-config.cmake
"# find_package(moetune): moetune::moetune (the shared library), moetune::static
include(\${CMAKE_CURRENT_LIST_DIR}/moetune-targets.cmake)
add_library(moetune::moetune ALIAS moetune::shared)
")
write_basic_package_version_file(${CMAKE_BINARY_DIR}/moetune-config-version.cmake
    COMPATIBILITY SameMinorVersion)
# From the folder of moetune.pc up to the prefix, so that an installation can be moved.
file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
file(WRITE ${CMAKE_BINARY_DIR}/moetune.pc
"prefix=\${pcfiledir}/${up}
Name: moetune
Description: Runs tuned Mixture-of-Experts layers from a database
Version: ${PROJECT_VERSION}
Cflags: -I\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}
Libs: -L\${prefix}/${CMAKE_INSTALL_LIBDIR} -lmoetune
Libs.private: -lsqlite3 -lgomp -lpthread -ldl -lm
")
install(FILES ${CMAKE_BINARY_DIR}/moetune-config.cmake
    ${CMAKE_BINARY_DIR}/moetune-config-version.cmake DESTINATION ${package} COMPONENT library)
install(FILES ${CMAKE_BINARY_DIR}/moetune.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT library)

if(TARGET moetune)
    install(TARGETS moetune DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)
    install(DIRECTORY ${CMAKE_SOURCE_DIR}/templates DESTINATION ${CMAKE_INSTALL_DATADIR}/moetune
        COMPONENT command)
endif()
