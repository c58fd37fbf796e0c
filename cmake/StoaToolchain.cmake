# Compiler, linker and library settings of every target.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
# -fPIE for every unit alike: a precompiled header is only reused under the same code model.
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)

find_package(Boost 1.88 CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(CURL REQUIRED)
find_package(Threads REQUIRED)
find_package(yyjson CONFIG REQUIRED)
find_package(llhttp CONFIG REQUIRED)
find_package(rabbitmq-c CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
if(STOA_TESTING)
  find_package(GTest REQUIRED)
  enable_testing()
endif()

add_library(stoa_flags INTERFACE)
target_include_directories(stoa_flags INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(stoa_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  # GCC 14 reports these two inside Asio coroutine frames and std::variant, not in our lines.
  -Wno-maybe-uninitialized -Wno-mismatched-new-delete
  -fPIE -fstack-protector-strong -fcf-protection)
target_compile_definitions(stoa_flags INTERFACE
  _GLIBCXX_ASSERTIONS
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  $<$<BOOL:${STOA_TESTING}>:STOA_TESTING>)
target_link_options(stoa_flags INTERFACE -fuse-ld=mold -Wl,--as-needed -Wl,-z,relro -Wl,-z,now -pie)

set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG -ffunction-sections -fdata-sections")
set(CMAKE_EXE_LINKER_FLAGS_RELEASE "-Wl,--gc-sections")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g1")
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(stoa_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()

if(STOA_SANITIZE)
  target_compile_options(stoa_flags INTERFACE -fsanitize=${STOA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(stoa_flags INTERFACE -fsanitize=${STOA_SANITIZE})
  if(STOA_SANITIZE MATCHES "thread")
    # GCC warns that TSan does not model std::atomic_thread_fence, which Asio uses.
    target_compile_options(stoa_flags INTERFACE -Wno-tsan)
  endif()
endif()

# Two compile jobs and one link at a time: what the smallest supported machine has.
set_property(GLOBAL PROPERTY JOB_POOLS compile=2 link=1)
set(CMAKE_JOB_POOL_COMPILE compile)
set(CMAKE_JOB_POOL_LINK link)
