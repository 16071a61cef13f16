# The library, built by cargo, as imported targets.

find_program(GCAUTH_CARGO cargo HINTS "$ENV{HOME}/.cargo/bin" REQUIRED DOC "cargo, of Rust")
if(PROJECT_IS_TOP_LEVEL)
  set(target_dir "${PROJECT_SOURCE_DIR}/target")
  if(DEFINED ENV{CARGO_TARGET_DIR})
    set(target_dir "$ENV{CARGO_TARGET_DIR}")
    cmake_path(ABSOLUTE_PATH target_dir BASE_DIRECTORY "${PROJECT_SOURCE_DIR}")
  endif()
else()
  # In somebody else's project nothing is written outside of the build tree.
  set(target_dir "${PROJECT_BINARY_DIR}/cargo")
endif()
set(GCAUTH_CARGO_TARGET_DIR "${target_dir}" CACHE PATH "Where cargo builds")

set(GCAUTH_RELEASE_DIR "${GCAUTH_CARGO_TARGET_DIR}/release")
set(GCAUTH_LIBRARY_DIR "${PROJECT_BINARY_DIR}/lib")
execute_process(COMMAND "${PROJECT_SOURCE_DIR}/scripts/about" soversion OUTPUT_VARIABLE GCAUTH_SOVERSION
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(GCAUTH_SHARED_FILE "${GCAUTH_LIBRARY_DIR}/libgcauth.so.${PROJECT_VERSION}")

set(build_library "${CMAKE_COMMAND}" -E env "CARGO=${GCAUTH_CARGO}" "${PROJECT_SOURCE_DIR}/scripts/build-library"
                  --target-dir "${GCAUTH_CARGO_TARGET_DIR}")
if(NOT GCAUTH_REDIS)
  list(APPEND build_library --no-default-features)
endif()
# Apart from each other: in one go, what both depend on would have the features that either of them wants, and the
# library that is tested would not be the one that is installed.
set(build_sandbox)
if(GCAUTH_BUILD_TESTS)
  set(build_sandbox COMMAND "${GCAUTH_CARGO}" build --locked --release --target-dir
                            "${GCAUTH_CARGO_TARGET_DIR}" -p gcauth-sandbox)
endif()

# Cargo knows best what has changed, so it is asked at each build. The copy has the names that an installed library
# has; it is left alone if nothing has changed, so that nothing is linked again.
add_custom_target(
  gcauth_cargo ALL
  COMMAND ${build_library} ${build_sandbox}
  COMMAND "${CMAKE_COMMAND}" -E make_directory "${GCAUTH_LIBRARY_DIR}"
  COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${GCAUTH_RELEASE_DIR}/libgcauth.so" "${GCAUTH_SHARED_FILE}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "libgcauth.so.${PROJECT_VERSION}"
          "${GCAUTH_LIBRARY_DIR}/libgcauth.so.${GCAUTH_SOVERSION}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "libgcauth.so.${GCAUTH_SOVERSION}" "${GCAUTH_LIBRARY_DIR}/libgcauth.so"
  COMMAND "${PROJECT_SOURCE_DIR}/scripts/static-archive" "${GCAUTH_RELEASE_DIR}/libgcauth.a"
          "${GCAUTH_LIBRARY_DIR}/libgcauth.a"
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
  BYPRODUCTS "${GCAUTH_SHARED_FILE}" "${GCAUTH_LIBRARY_DIR}/libgcauth.so.${GCAUTH_SOVERSION}"
             "${GCAUTH_LIBRARY_DIR}/libgcauth.so" "${GCAUTH_LIBRARY_DIR}/libgcauth.a"
  COMMENT "Building libgcauth by cargo"
  USES_TERMINAL
  VERBATIM)

set(include_directories "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/bindings/cpp")
add_library(gcauth::shared SHARED IMPORTED GLOBAL)
set_target_properties(
  gcauth::shared
  PROPERTIES IMPORTED_LOCATION "${GCAUTH_SHARED_FILE}"
             IMPORTED_SONAME "libgcauth.so.${GCAUTH_SOVERSION}"
             INTERFACE_INCLUDE_DIRECTORIES "${include_directories}")
add_dependencies(gcauth::shared gcauth_cargo)

execute_process(COMMAND "${PROJECT_SOURCE_DIR}/scripts/native-libs" OUTPUT_VARIABLE native_libs
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(native_libs UNIX_COMMAND "${native_libs}")
add_library(gcauth::static STATIC IMPORTED GLOBAL)
set_target_properties(
  gcauth::static
  PROPERTIES IMPORTED_LOCATION "${GCAUTH_LIBRARY_DIR}/libgcauth.a"
             INTERFACE_INCLUDE_DIRECTORIES "${include_directories}"
             INTERFACE_LINK_LIBRARIES "${native_libs}")
add_dependencies(gcauth::static gcauth_cargo)

add_library(gcauth::gcauth INTERFACE IMPORTED GLOBAL)
if(DEFINED BUILD_SHARED_LIBS AND NOT BUILD_SHARED_LIBS)
  target_link_libraries(gcauth::gcauth INTERFACE gcauth::static)
else()
  target_link_libraries(gcauth::gcauth INTERFACE gcauth::shared)
endif()

# gcauth_own_c(<target>): the language and the warnings of this project's own C.
function(gcauth_own_c target)
  set_target_properties(${target} PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic $<$<BOOL:${GCAUTH_WERROR}>:-Werror>)
endfunction()

# gcauth_own_cpp(<target> [<standard>]): the same for C++, 17 or another standard.
function(gcauth_own_cpp target)
  set(standard 17)
  if(ARGC GREATER 1)
    set(standard "${ARGV1}")
  endif()
  set_target_properties(${target} PROPERTIES CXX_STANDARD ${standard} CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
                                           $<$<BOOL:${GCAUTH_WERROR}>:-Werror>)
endfunction()
