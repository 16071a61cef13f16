#!/usr/bin/env bash
# What is installed works, wherever it is moved to: install.sh HOW BUILD_DIR TARGET_DIR, beside a sandbox. HOW is one of
#
#   make, cmake   installed into an empty prefix, which is moved afterwards; make writes nothing where it is called
#   tar, deb      what cpack makes, unpacked
#   dpkg          the Debian packages, installed, as root and where there are none already; removed afterwards
#
# The examples in C and C++ are built against it by CMake, by pkg-config and by hand, shared and static, and log in.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
how=$1
build=$(cd "$2" && pwd)
export CARGO_TARGET_DIR=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL PKG_CONFIG_PATH CMAKE_PREFIX_PATH LD_LIBRARY_PATH
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
moved=$work/moved

fail() {
    echo "install.sh $how: $*"
    exit 1
}

quietly() { # quietly COMMAND...: shows what it says only if it fails
    "$@" >"$work/output" 2>&1 || { cat "$work/output"; fail "$*"; }
}

# As `make package` does it, in a build tree of its own: cpack makes sure that all is built, and other tests are using
# the one that is there.
packages() { # packages GENERATOR
    quietly cmake -S . -B "$work/package" -DGCAUTH_CARGO_TARGET_DIR="$CARGO_TARGET_DIR" -DCMAKE_INSTALL_PREFIX=/usr \
        -DGCAUTH_BUILD_EXAMPLES=OFF -DGCAUTH_BUILD_TESTS=OFF
    quietly cmake --build "$work/package"
    (cd "$work/package" && quietly cpack -G "$1" -B "$work/packages")
}

# As `sudo make install` does it in a checkout where `make` was run: without Rust, and without leaving anything of root's.
from_a_checkout() {
    local checkout=$work/checkout
    local without_rust=(env -u CARGO_TARGET_DIR PATH=/usr/bin:/bin:/usr/sbin:/sbin CARGO=false)
    mkdir -p "$checkout"/{target/release,build/make}
    cp -r Makefile Cargo.toml Cargo.lock build.rs src scripts cmake include bindings "$checkout"
    cp "$build/lib/libgcauth.so.$version" "$checkout/target/release/libgcauth.so"
    cp "$build/lib/libgcauth.a" "$checkout/build/make"
    state() {
        find "$checkout" -printf '%P %u %m %s %T@ %C@\n' | LC_ALL=C sort
    }
    state >"$work/before"
    quietly "${without_rust[@]}" make -C "$checkout" install DESTDIR="$work/gone" PREFIX=/somewhere/else
    quietly "${without_rust[@]}" make -C "$checkout" uninstall DESTDIR="$work/gone" PREFIX=/somewhere/else
    ! find "$work/gone" ! -type d | grep . || fail 'it was not uninstalled'
    quietly "${without_rust[@]}" make -C "$checkout" install DESTDIR="$work/stage" PREFIX=/somewhere/else
    state | diff "$work/before" - || fail 'the checkout is not as it was'

    # What was not built, sudo does not build.
    rm "$checkout/target/release/libgcauth.so"
    state >"$work/before"
    ! SUDO_UID=1000 "${without_rust[@]}" make -C "$checkout" install DESTDIR="$work/none" PREFIX=/x >"$work/output" 2>&1 ||
        fail 'something was installed that was not built'
    grep -q 'run `make library` first, without sudo' "$work/output" || { cat "$work/output"; fail 'it gives no advice'; }
    state | diff "$work/before" - || fail 'the checkout is not as it was after an installation that failed'
}

doc=
case $how in
    make)
        from_a_checkout
        mv "$work/stage/somewhere/else" "$moved"
        ;;
    cmake)
        quietly cmake --install "$build" --prefix "$work/prefix"
        mv "$work/prefix" "$moved"
        doc='./share/doc/libgcauth-dev/copyright ./share/doc/libgcauth0/copyright'
        ;;
    tar)
        packages TGZ
        mkdir "$moved"
        tar -xzf "$work"/packages/*.tar.gz -C "$moved" --strip-components=1
        doc='./share/doc/libgcauth-dev/copyright ./share/doc/libgcauth0/copyright'
        ;;
    deb | dpkg)
        packages DEB
        for package in "$work"/packages/*.deb; do
            dpkg-deb -x "$package" "$work/root"
        done
        mv "$work/root/usr" "$moved"
        doc='./share/doc/libgcauth-dev/copyright ./share/doc/libgcauth0/copyright'
        dpkg-deb -f "$work"/packages/libgcauth-dev_*.deb Depends | grep -q -x "libgcauth0 (= $version)" ||
            fail 'libgcauth-dev does not depend on its libgcauth0'
        ;;
    *) fail 'not one of make, cmake, tar, deb, dpkg' ;;
esac

archive=$(find "$moved" -name libgcauth.a)
libdir=$(dirname "${archive#"$moved/"}")
listing=$(cd "$moved" && find . ! -type d | LC_ALL=C sort | xargs)
wanted="./include/gcauth.h ./include/gcauth.hpp ./$libdir/cmake/gcauth/gcauthConfig.cmake"
wanted+=" ./$libdir/cmake/gcauth/gcauthConfigVersion.cmake ./$libdir/libgcauth.a ./$libdir/libgcauth.so"
wanted+=" ./$libdir/libgcauth.so.0 ./$libdir/libgcauth.so.$version ./$libdir/pkgconfig/gcauth.pc${doc:+ $doc}"
[ "$listing" = "$wanted" ] || fail "installed: $listing, wanted: $wanted"
if grep -r -I -l -e "$root" -e /somewhere/else "$moved"; then
    fail 'a file names a place where it is not'
fi

if [ "$how" = dpkg ]; then
    if [ "$(id -u)" != 0 ] || dpkg -s libgcauth0 >/dev/null 2>&1 ||
        ls /usr/lib/libgcauth* /usr/lib/*/libgcauth* >/dev/null 2>&1; then
        echo 'not root, or libgcauth is installed here already: left out'
        exit 77
    fi
    trap 'dpkg --purge libgcauth-dev libgcauth0 >/dev/null 2>&1; rm -rf "$work"' EXIT
    quietly dpkg -i "$work"/packages/libgcauth0_*.deb "$work"/packages/libgcauth-dev_*.deb
    rm -r "$moved"
    moved=/usr
    where=()
else
    where=(-DCMAKE_PREFIX_PATH="$moved")
    export PKG_CONFIG_PATH=$moved/$libdir/pkgconfig
fi

logs_in() { # logs_in PROGRAM
    output=$(GCAUTH_PASSWORD=lovelace "$1" ada analytical-engines) || fail "$1 does not run"
    [[ $output == 'Authorization: Bearer eyJ'*... ]] || fail "$1 printed $output"
}

needs() { # needs PROGRAM yes|no: whether the program wants the shared library
    local found=no
    ! readelf -d "$1" | grep -q 'NEEDED.*libgcauth.so.0' || found=yes
    [ "$found" = "$2" ] || fail "$1: shared is $found, not $2"
}

# By CMake: all examples, in some of the ways.
case $how in cmake | dpkg) examples='.*' ;; *) examples=first_login ;; esac
mkdir "$work/consumer"
cat >"$work/consumer/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.15)
project(consumer LANGUAGES C CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(CURL REQUIRED)
find_package(Threads REQUIRED)
find_package(gcauth 99 QUIET)
if(gcauth_FOUND)
  message(FATAL_ERROR "version $version is taken for version 99")
endif()
find_package(gcauth ${version%.*} REQUIRED)
find_package(gcauth REQUIRED)
foreach(language IN ITEMS c cpp)
  file(GLOB sources "$root/examples/\${language}/*.\${language}")
  foreach(source IN LISTS sources)
    get_filename_component(name "\${source}" NAME_WE)
    if(NOT name MATCHES "^($examples)\$")
      continue()
    endif()
    foreach(kind IN ITEMS shared static gcauth)
      if(kind STREQUAL "gcauth" AND NOT name STREQUAL "first_login")
        continue()
      endif()
      add_executable(\${name}_\${language}_\${kind} "\${source}")
      target_link_libraries(\${name}_\${language}_\${kind} PRIVATE gcauth::\${kind} CURL::libcurl Threads::Threads)
    endforeach()
  endforeach()
endforeach()
END
quietly cmake -S "$work/consumer" -B "$work/consumer/build" "${where[@]}"
quietly cmake --build "$work/consumer/build" --parallel 2
grep -q "^gcauth_DIR:PATH=$moved/$libdir/cmake/gcauth$" "$work/consumer/build/CMakeCache.txt" ||
    fail 'CMake found another'
for language in c cpp; do
    for kind in gcauth shared static; do
        program=$work/consumer/build/first_login_${language}_$kind
        logs_in "$program"
        case $kind in static) needs "$program" no ;; *) needs "$program" yes ;; esac
    done
done

# By pkg-config and by hand, in the words of the README.
[ "$(pkg-config --modversion gcauth)" = "$version" ] || fail "gcauth.pc is of version $(pkg-config --modversion gcauth)"
export LD_LIBRARY_PATH=$moved/$libdir
by_hand=(env)
if [ "$how" != dpkg ]; then
    by_hand+=(C_INCLUDE_PATH="$moved/include" CPLUS_INCLUDE_PATH="$moved/include" LIBRARY_PATH="$moved/$libdir")
fi
for compile in 'cc c' 'c++ cpp'; do
    read -r compiler language <<<"$compile"
    source=$root/examples/$language/first_login.$language
    # shellcheck disable=SC2046
    {
        "$compiler" "$source" $(pkg-config --cflags --libs gcauth) -o "$work/by_pkg_config"
        "${by_hand[@]}" "$compiler" "$source" -lgcauth -o "$work/by_hand"
        # glibc before 2.34 has some of itself in other libraries, which pkg-config names as well.
        "$compiler" "$source" $(pkg-config --cflags gcauth) "$moved/$libdir/libgcauth.a" -o "$work/static"
        # The linker warns of getaddrinfo, which needs the system's libraries even there.
        "$compiler" -static "$source" $(pkg-config --cflags --libs --static gcauth) -o "$work/all_static" 2>"$work/output" ||
            { cat "$work/output"; fail "-static with $compiler"; }
    }
    for program in by_pkg_config by_hand; do
        logs_in "$work/$program"
        needs "$work/$program" yes
    done
    for program in static all_static; do
        logs_in "$work/$program"
        needs "$work/$program" no
    done
    ! readelf -d "$work/all_static" | grep -q NEEDED || fail 'a program linked with -static needs libraries'
done

# With an archive and no shared library, all is static.
if [ "$how" = cmake ]; then
    rm "$moved/$libdir"/libgcauth.so*
    # shellcheck disable=SC2046
    cc examples/c/first_login.c $(pkg-config --cflags --libs --static gcauth) -o "$work/static"
    logs_in "$work/static"
fi
echo "installed by $how: the examples log in"
