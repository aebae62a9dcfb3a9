# Headers, libraries, a CMake package (find_package(memifpp)) and pkg-config files, in components for packages:
# runtime (shared libraries), dev, tools, doc. All of it can be moved: no file names the prefix.
include(CMakePackageConfigHelpers)

set_target_properties(memifpp PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
get_target_property(memifpp_type memifpp TYPE)
if(memifpp_type STREQUAL "SHARED_LIBRARY")
  # The C++ API is all of its classes; nothing marks them one by one.
  set_target_properties(memifpp PROPERTIES CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF)
endif()
install(TARGETS memifpp EXPORT memifpp
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
install(DIRECTORY include/memif DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev FILES_MATCHING PATTERN "*.hpp")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/memifpp)
install(EXPORT memifpp NAMESPACE memifpp:: FILE memifpp-targets.cmake DESTINATION ${package_dir} COMPONENT dev)
write_basic_package_version_file(memifpp-config-version.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" prefix_from_pc "${prefix_from_pc}")
configure_file(cmake/memifpp.pc.in memifpp.pc @ONLY)
install(FILES cmake/memifpp-config.cmake ${PROJECT_BINARY_DIR}/memifpp-config-version.cmake
        DESTINATION ${package_dir} COMPONENT dev)
install(FILES ${PROJECT_BINARY_DIR}/memifpp.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc FILES_MATCHING PATTERN "*.md")

include(${CMAKE_CURRENT_SOURCE_DIR}/packaging/cpack.cmake OPTIONAL)
