# Headers, library, a CMake package (find_package(memifpp)) and a pkg-config file.
include(CMakePackageConfigHelpers)

set_target_properties(memifpp PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
install(TARGETS memifpp EXPORT memifpp)
install(DIRECTORY include/memif TYPE INCLUDE FILES_MATCHING PATTERN "*.hpp")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/memifpp)
install(EXPORT memifpp NAMESPACE memifpp:: FILE memifpp-targets.cmake DESTINATION ${package_dir})
write_basic_package_version_file(memifpp-config-version.cmake COMPATIBILITY SameMinorVersion)
configure_file(cmake/memifpp.pc.in memifpp.pc @ONLY)
install(FILES cmake/memifpp-config.cmake ${PROJECT_BINARY_DIR}/memifpp-config-version.cmake DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/memifpp.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
