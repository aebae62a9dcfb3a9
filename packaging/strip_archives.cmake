# Run by cpack when the files of the packages are in place: static libraries go without debug information, of which they
# have fifty times as much as of anything else. That of programs and shared libraries has packages of its own.
file(GLOB_RECURSE archives "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*.a")
find_program(STRIP strip REQUIRED)
foreach(archive IN LISTS archives)
  execute_process(COMMAND ${STRIP} --strip-debug --enable-deterministic-archives ${archive} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
