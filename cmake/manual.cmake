# Manual pages and shell completions, which the command's own texts and docs/ are made into by a program that is built
# for it. Where that program cannot run (cross-compiling) or would run slowly and now and then not at all (sanitizers),
# they are left out.
add_executable(memif-manual ${CMAKE_CURRENT_SOURCE_DIR}/memif/manual/main.cpp)
target_link_libraries(memif-manual PRIVATE memif_tool memif_options)
if(MEMIF_SANITIZE OR (CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR))
  return()
endif()

set(manual ${PROJECT_BINARY_DIR}/manual)
string(TIMESTAMP manual_date "%Y-%m-%d" UTC)  # or that of SOURCE_DATE_EPOCH
find_program(GZIP gzip)
set(compress)
if(GZIP)
  set(compress COMMAND sh -c "${GZIP} -9nf ${manual}/man*/*")
endif()
file(GLOB manual_documents CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.md)
add_custom_command(OUTPUT ${manual}/stamp
                   COMMAND ${CMAKE_COMMAND} -E rm -rf ${manual}
                   COMMAND memif-manual ${PROJECT_SOURCE_DIR}/docs ${manual} ${manual_date}
                   ${compress}
                   COMMAND ${CMAKE_COMMAND} -E touch ${manual}/stamp
                   DEPENDS memif-manual ${manual_documents} COMMENT "Writing manual pages and completions" VERBATIM)
add_custom_target(manual ALL DEPENDS ${manual}/stamp)

if(MEMIF_INSTALL)
  install(DIRECTORY ${manual}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT tools)
  install(DIRECTORY ${manual}/man7 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT doc)
  install(FILES ${manual}/bash/memif DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT tools)
  # Debian's zsh looks for those of packages in a place of their own.
  install(FILES ${manual}/zsh/_memif DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT zsh)
  install(FILES ${manual}/zsh/_memif DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT tools
          EXCLUDE_FROM_ALL)
endif()
