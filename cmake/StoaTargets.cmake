# The shapes of target this project has. A room of the house = one call.

# stoa_library(NAME [SOURCES ...] [LINK ...] [PURE])
# One library of servicekit, or one layer of a service. PURE libraries (core, every domain/) get
# neither Asio nor the shared precompiled header, so that a forbidden include does not compile.
function(stoa_library name)
  cmake_parse_arguments(arg "PURE" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC stoa_flags ${arg_LINK})
  if(NOT arg_PURE AND NOT name STREQUAL "servicekit_async")
    target_precompile_headers(${name} REUSE_FROM servicekit_async)
  endif()
endfunction()

# stoa_test(NAME SOURCES ... LINK ... [PURE])
# One gtest binary. Started by ctest through tools/run-as-build, since PostgreSQL refuses uid 0.
function(stoa_test name)
  if(NOT STOA_TESTING)
    return()
  endif()
  cmake_parse_arguments(arg "PURE" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE stoa_flags ${arg_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  if(NOT arg_PURE)
    target_precompile_headers(${name} REUSE_FROM servicekit_async)
  endif()
  add_test(NAME ${name} COMMAND "${CMAKE_SOURCE_DIR}/tools/run-as-build" $<TARGET_FILE:${name}>
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

# stoa_program(NAME SOURCES ... LINK ...)
function(stoa_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE stoa_flags ${arg_LINK})
  target_precompile_headers(${name} REUSE_FROM servicekit_async)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
endfunction()

# stoa_migrations(TARGET NAMESPACE name)
# Compiles every SQL file of the folder migrations/ beside the CMakeLists.txt into TARGET, in the order of
# their names, as `std::span<const stoa::postgres::Migration> stoa::<name>::migrations()` (images carry no
# files beside the binary). Declared in the service's config.hpp or main.cpp.
function(stoa_migrations target)
  cmake_parse_arguments(arg "" "NAMESPACE" "" ${ARGN})
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${target}_migrations.cpp")
  file(GLOB inputs CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/migrations/*.sql")
  if(NOT inputs)
    message(FATAL_ERROR "${target}: no SQL file in ${CMAKE_CURRENT_SOURCE_DIR}/migrations")
  endif()
  add_custom_command(OUTPUT "${output}"
    COMMAND python3 "${CMAKE_SOURCE_DIR}/cmake/embed_migrations.py" "${arg_NAMESPACE}" "${output}" ${inputs}
    DEPENDS "${CMAKE_SOURCE_DIR}/cmake/embed_migrations.py" ${inputs} VERBATIM)
  target_sources(${target} PRIVATE "${output}")
endfunction()
