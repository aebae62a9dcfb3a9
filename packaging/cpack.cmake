# Debian packages (cpack -G DEB in the build directory), one for each component of the installation. Configure with
# -DCMAKE_INSTALL_PREFIX=/usr for libraries in Debian's multiarch directory.
set(packages runtime dev tools doc)
set(package_of_runtime memifpp-libs)
set(package_of_dev libmemifpp-dev)
set(package_of_tools memif-tools)
set(package_of_doc memifpp-doc)
set(package_of_python python3-memif)
if(TARGET memif_python)
  list(APPEND packages python)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL ${packages})
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/strip_archives.cmake)
set(CPACK_PACKAGE_VENDOR "memifpp")
set(CPACK_PACKAGE_CONTACT "memifpp maintainers <maintainers@memifpp.example>")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ON) # PACKAGE-dbgsym_....ddeb
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

foreach(component IN LISTS packages)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package_of_${component}})
endforeach()

set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/triggers)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "memif for C programs, shared libraries
Packets through shared memory between processes, VPP and DPDK: the C API of
libmemif, generations 2, 2.1, 3 and 4.")

set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "memifpp-libs (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_DEV_DESCRIPTION "memif for C++ and C, headers and static libraries
Packets through shared memory between processes, VPP and DPDK: what programs
are built with, for CMake and pkg-config.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION net)
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "memif on the command line
Ping, answer, capture and inspect memif interfaces of VPP, DPDK and other
programs.")

set(CPACK_DEBIAN_DOC_PACKAGE_SECTION doc)
set(CPACK_DEBIAN_DOC_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DOC_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DOC_DESCRIPTION "memif for C++ and C, documentation
How to use the libraries and the command, and the protocol.")

if(TARGET memif_python)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
  math(EXPR next_python "${Python_VERSION_MINOR} + 1" OUTPUT_FORMAT DECIMAL)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "python3 (>= 3.${Python_VERSION_MINOR}~), python3 (<< 3.${next_python}~)")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/python/postinst # byte code comes and goes
      ${CMAKE_CURRENT_LIST_DIR}/python/prerm)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SUGGESTS "python3-scapy (>= 2.5), python3-numpy, python3-pytest")
  set(CPACK_DEBIAN_PYTHON_DESCRIPTION "memif for Python 3
Packets through shared memory between processes, VPP and DPDK: interfaces,
zero-copy bursts, asyncio, sockets for Scapy, fixtures for pytest.")
endif()

# What Debian wants in each package, and nobody in another installation.
find_program(GZIP gzip)
set(debian ${PROJECT_BINARY_DIR}/packaging)
configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog.in ${debian}/changelog @ONLY)
if(GZIP)
  execute_process(COMMAND ${GZIP} -9nf ${debian}/changelog COMMAND_ERROR_IS_FATAL ANY)
endif()
foreach(component IN LISTS packages)
  set(package ${package_of_${component}})
  install(FILES ${CMAKE_CURRENT_LIST_DIR}/copyright ${debian}/changelog.gz DESTINATION share/doc/${package}
          COMPONENT ${component} EXCLUDE_FROM_ALL)
  if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/${package}.lintian-overrides)
    install(FILES ${CMAKE_CURRENT_LIST_DIR}/${package}.lintian-overrides DESTINATION share/lintian/overrides
            RENAME ${package} COMPONENT ${component} EXCLUDE_FROM_ALL)
  endif()
endforeach()
include(CPack)
