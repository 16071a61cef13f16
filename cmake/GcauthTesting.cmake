# What tests of C programs share: sandboxes as fixtures, valgrind, and the comparison of what examples print.

set(GCAUTH_SANDBOX_SCRIPT "${PROJECT_SOURCE_DIR}/scripts/sandbox")
# No test is about speed: this is for a machine that is busy with other things.
set(GCAUTH_TEST_TIMEOUT 300)

find_program(GCAUTH_VALGRIND valgrind DOC "valgrind; without it there are no .valgrind tests")
set(GCAUTH_VALGRIND_COMMAND
    "${GCAUTH_VALGRIND}" --quiet --error-exitcode=1 --leak-check=full --show-leak-kinds=definite,indirect,possible
    --errors-for-leak-kinds=definite,indirect,possible --num-callers=40 --fair-sched=try)

# The compiler's sanitizers, for C++; their own libraries may not be there.
include(CheckCXXSourceCompiles)
set(GCAUTH_SANITIZERS -fsanitize=address,undefined -fno-sanitize-recover=all)
set(CMAKE_REQUIRED_FLAGS "-fsanitize=address,undefined")
check_cxx_source_compiles("int main() { return 0; }" GCAUTH_HAVE_SANITIZERS)
unset(CMAKE_REQUIRED_FLAGS)

# gcauth_add_sandbox(<fixture> [OPTION...])
#
# A fixture: a sandbox with these options, started before the first test that requires it, and stopped after the last
# one, also when tests fail. Where ctest itself is killed, the sandbox ends by itself.
function(gcauth_add_sandbox fixture)
  set(directory "${PROJECT_BINARY_DIR}/sandbox/${fixture}")
  add_test(NAME ${fixture}.start COMMAND "${GCAUTH_SANDBOX_SCRIPT}" start "${directory}" ${ARGN})
  add_test(NAME ${fixture}.stop COMMAND "${GCAUTH_SANDBOX_SCRIPT}" stop "${directory}")
  set_tests_properties(${fixture}.start PROPERTIES FIXTURES_SETUP ${fixture} ENVIRONMENT
                                                   "GCAUTH_SANDBOX=${GCAUTH_RELEASE_DIR}/gcauth-sandbox")
  set_tests_properties(${fixture}.stop PROPERTIES FIXTURES_CLEANUP ${fixture})
  set_tests_properties(${fixture}.start ${fixture}.stop PROPERTIES TIMEOUT ${GCAUTH_TEST_TIMEOUT})
endfunction()

# gcauth_add_test_beside_sandbox(<test> COMMAND <command...> [SANDBOX <fixture>] [OPTIONS <sandbox option...>]
#                                [ENVIRONMENT <name=value...>])
#
# A test whose command finds a sandbox in its environment, as scripts/sandbox tells. SANDBOX names one made by
# gcauth_add_sandbox(), to be left as it was found; without, the test has one of its own, started with OPTIONS.
function(gcauth_add_test_beside_sandbox test)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SANDBOX" "COMMAND;OPTIONS;ENVIRONMENT")
  if(NOT arg_SANDBOX)
    set(arg_SANDBOX "${test}.sandbox")
    gcauth_add_sandbox("${arg_SANDBOX}" ${arg_OPTIONS})
  endif()
  add_test(NAME ${test} COMMAND "${GCAUTH_SANDBOX_SCRIPT}" run "${PROJECT_BINARY_DIR}/sandbox/${arg_SANDBOX}"
                                ${arg_COMMAND})
  set_tests_properties(${test} PROPERTIES FIXTURES_REQUIRED "${arg_SANDBOX}" TIMEOUT ${GCAUTH_TEST_TIMEOUT}
                                          ENVIRONMENT "${arg_ENVIRONMENT}")
endfunction()

# gcauth_add_example_test(<test> <target> EXPECTED <file> [NO_VALGRIND] [FAULT <JSON>] [ARGS <argument...>]
#                         [SANDBOX <fixture>] [OPTIONS <sandbox option...>])
#
# The test example.<test>, and its twin example.<test>.valgrind unless told otherwise: an example
# prints what the file says. FAULT is ordered
# from the sandbox first. @GCAUTH_SANDBOX_HTTPS@ in an argument stands for the sandbox's base URL.
function(gcauth_add_example_test test target)
  cmake_parse_arguments(PARSE_ARGV 2 arg "NO_VALGRIND" "SANDBOX;EXPECTED;FAULT" "ARGS;OPTIONS")
  set(common SANDBOX "${arg_SANDBOX}" OPTIONS ${arg_OPTIONS} ENVIRONMENT "GCAUTH_PASSWORD=lovelace" "FAULT=${arg_FAULT}")
  set(compare "${PROJECT_SOURCE_DIR}/examples/c/expected/compare" "${CMAKE_CURRENT_SOURCE_DIR}/${arg_EXPECTED}")
  set(command $<TARGET_FILE:${target}> ${arg_ARGS})
  gcauth_add_test_beside_sandbox(example.${test} COMMAND ${compare} ${command} ${common})
  if(GCAUTH_VALGRIND AND NOT arg_NO_VALGRIND)
    gcauth_add_test_beside_sandbox(example.${test}.valgrind
                                   COMMAND ${compare} ${GCAUTH_VALGRIND_COMMAND} ${command} ${common})
  endif()
endfunction()
