# install.cmake - libmoetune (the runtime), libmoetune_sim (the simulated GPU, which libmoetune
# opens where a device named sim: is asked for), the header, and the package files.
#   cmake --install build --component library     the libraries alone
#   cmake --install build                         and the moetune command with its templates
include(CMakePackageConfigHelpers)

add_library(moetune_shared SHARED $<TARGET_OBJECTS:moe_runtime>)
target_link_libraries(moetune_shared PRIVATE dep_sqlite3 Threads::Threads ${CMAKE_DL_LIBS} m)

add_library(moetune_static STATIC $<TARGET_OBJECTS:moe_runtime>)
target_link_libraries(moetune_static INTERFACE sqlite3 pthread ${CMAKE_DL_LIBS} m)

# It has what it needs of the runtime in itself, unseen from outside.
set(objects $<TARGET_OBJECTS:moe_sim>)
if(TARGET moe_sim_avx2)
    list(APPEND objects $<TARGET_OBJECTS:moe_sim_avx2>)
endif()
add_library(moetune_sim SHARED ${objects})
target_link_libraries(moetune_sim PRIVATE moe_runtime)
target_link_options(moetune_sim PRIVATE -Wl,--as-needed)

# A libmoetune without its simulator beside it is half a build.
add_dependencies(moetune_shared moetune_sim)

foreach(library shared sim)
    # Only what its header declares is seen from outside; not SQLite, which the process may have
    # too.
    target_link_options(moetune_${library} PRIVATE -Wl,--exclude-libs,ALL -Wl,--no-undefined)
    set_target_properties(moetune_${library} PROPERTIES VERSION ${PROJECT_VERSION}
        SOVERSION ${PROJECT_VERSION_MAJOR} LINKER_LANGUAGE C)
endforeach()

foreach(kind shared static)
    set_target_properties(moetune_${kind} PROPERTIES OUTPUT_NAME moetune EXPORT_NAME ${kind}
        LINKER_LANGUAGE C)
    target_include_directories(moetune_${kind} INTERFACE
        $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/moetune)
install(TARGETS moetune_shared moetune_static EXPORT moetune COMPONENT library
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(TARGETS moetune_sim COMPONENT library
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_SKIP COMPONENT library)
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
Libs.private: -lsqlite3 -lpthread -ldl -lm
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
