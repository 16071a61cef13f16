# What `cmake --install` lays down, in two components: `runtime`, what programs need that are linked already, and
# `development`, what it takes to link more. `cpack` makes a Debian package of each, and one .tar.gz of both.

include(GNUInstallDirs)

set(package_files "${PROJECT_BINARY_DIR}/package")
execute_process(
  COMMAND "${PROJECT_SOURCE_DIR}/scripts/package-files" "${PROJECT_VERSION}" "${GCAUTH_SOVERSION}"
          "${CMAKE_INSTALL_FULL_LIBDIR}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}" "${package_files}"
  COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS cmake/gcauth.pc.in cmake/gcauthConfig.cmake.in
                                       cmake/gcauthConfigVersion.cmake.in scripts/package-files scripts/native-libs)

install(FILES "${GCAUTH_SHARED_FILE}" "${GCAUTH_LIBRARY_DIR}/libgcauth.so.${GCAUTH_SOVERSION}"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime)
install(FILES "${GCAUTH_LIBRARY_DIR}/libgcauth.so" "${GCAUTH_LIBRARY_DIR}/libgcauth.a"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
install(FILES "${PROJECT_SOURCE_DIR}/include/gcauth.h" "${PROJECT_SOURCE_DIR}/bindings/cpp/gcauth.hpp"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
install(FILES "${package_files}/gcauthConfig.cmake" "${package_files}/gcauthConfigVersion.cmake"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/gcauth" COMPONENT development)
install(FILES "${package_files}/gcauth.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)

set(runtime_package "libgcauth${GCAUTH_SOVERSION}")
set(development_package libgcauth-dev)
foreach(component IN ITEMS runtime development)
  install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${${component}_package}"
          RENAME copyright COMPONENT ${component})
endforeach()

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_NAME libgcauth)
set(CPACK_PACKAGE_VENDOR "the authors of libgcauth")
set(CPACK_PACKAGE_CONTACT "the authors of libgcauth <gcauth@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION "A small, thread-safe library with a C ABI, for programs that send bearer tokens.")
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_STRIP_FILES OFF) # cargo has done it
set(CPACK_COMPONENTS_ALL runtime development)
set(CPACK_COMPONENT_DEVELOPMENT_DEPENDS runtime)
set(CPACK_PACKAGE_FILE_NAME "libgcauth-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}")

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME "${runtime_package}")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME "${development_package}")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
# For what others link with it; also has ldconfig run.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
include(CPack)
